// SPDX-License-Identifier: GPL-2.0-only
//
// The live view of `watch` as somebody at a terminal has it: tmux is the terminal.
#include "native/watching.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/ranges.h>
#include <sstream>
#include <thread>

namespace vethtrace::test {
namespace {

using Lines = std::vector<std::string>;

// In columns: a letter of UTF-8 has one, whatever its bytes.
std::size_t widest(const Lines &lines) {
    std::size_t most = 0;
    for (const std::string &line : lines) {
        auto end = line.begin() + static_cast<std::ptrdiff_t>(line.find_last_not_of(' ') + 1);
        auto letters = std::count_if(line.begin(), end, [](char byte) { return (byte & 0xc0) != 0x80; });
        most = std::max(most, static_cast<std::size_t>(letters));
    }
    return most;
}

bool has(const Lines &lines, const std::string &text) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string &line) { return line.find(text) != std::string::npos; });
}

// A terminal of a certain size with one program in it. What is on its screen stays when the program has ended, and with
// it its exit status.
class Terminal {
public:
    Terminal(std::size_t columns, std::size_t rows, const std::vector<std::string> &line) : columns_(columns) {
        std::vector<std::string> words = {"new-session",
                                          "-d",
                                          "-x",
                                          std::to_string(columns),
                                          "-y",
                                          std::to_string(rows),
                                          "sh",
                                          "-c",
                                          R"("$@"; echo "exit status $?"; exec sleep 60)",
                                          "sh"};
        words.insert(words.end(), line.begin(), line.end());
        tmux(words);
    }
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;
    ~Terminal() { (void)run(line({"kill-server"})); }

    void key(const std::string &name) const { tmux({"send-keys", name}); }
    void resize(std::size_t columns, std::size_t rows) {
        columns_ = columns;
        tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
    }

    // What is on the screen, once all of the texts are and no line is wider than it. A line that the terminal had to
    // wrap counts as one.
    [[nodiscard]] Lines with(const std::vector<std::string> &texts) const {
        constexpr int tries = 150;
        Lines lines;
        for (int i = 0; i < tries; ++i) {
            lines = split(capture({"-J"}));
            if (widest(lines) <= columns_ &&
                std::all_of(texts.begin(), texts.end(), [&](const std::string &text) { return has(lines, text); }))
                return lines;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        EXPECT_LE(widest(lines), columns_);
        for (const std::string &text : texts)
            EXPECT_TRUE(has(lines, text)) << text << "\n" << fmt::format("{}", fmt::join(lines, "\n"));
        return lines;
    }
    [[nodiscard]] Lines screen() const { return split(capture({})); }
    [[nodiscard]] std::string with_colors() const { return capture({"-e"}); }

private:
    [[nodiscard]] std::vector<std::string> line(const std::vector<std::string> &words) const {
        std::vector<std::string> all = {"tmux", "-f", "/dev/null", "-S", socket_};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    void tmux(const std::vector<std::string> &words) const {
        Finished finished = run(line(words));
        EXPECT_EQ(finished.status, 0) << finished.err;
    }
    [[nodiscard]] std::string capture(std::vector<std::string> words) const {
        words.insert(words.begin(), {"capture-pane", "-p"});
        return run(line(words)).out;
    }
    static Lines split(const std::string &screen) {
        Lines lines;
        std::istringstream stream(screen);
        for (std::string line; std::getline(stream, line);)
            lines.push_back(line);
        return lines;
    }

    std::size_t columns_;
    std::string socket_ = fmt::format("{}/tmux-{}-{}", testing::TempDir(), getpid(),
                                      std::chrono::steady_clock::now().time_since_epoch().count());
};

// A node with traffic between its two containers.
class Live : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        if (run({"sh", "-c", "command -v tmux"}).status != 0)
            GTEST_SKIP() << "needs tmux";
        node_ = std::make_unique<Node>(2);
        server_ = node_->serve(2);
        load_ = std::make_unique<Process>(node_->client_line(1, 2, {"-d", "60"}));
    }

    [[nodiscard]] std::vector<std::string> watch(const std::vector<std::string> &variables = {}) const {
        std::vector<std::string> line = {"env"};
        line.insert(line.end(), variables.begin(), variables.end());
        std::vector<std::string> watch =
            node_->watch_line({"--netns", node_->container(1), "--netns", node_->container(2), "-i", "0.3"});
        line.insert(line.end(), watch.begin(), watch.end());
        return line;
    }

    std::unique_ptr<Node> node_;
    std::unique_ptr<Process> server_;
    std::unique_ptr<Process> load_;
};

TEST_F(Live, FitsItsTerminalWhileThatIsResized) {
    Terminal terminal(80, 24, watch());
    Lines narrow = terminal.with({"2 targets: 2 bridge", "stack_rx", "slowest packets", "q quit"});
    EXPECT_FALSE(has(narrow, "####")) << "no room for bars";
    terminal.resize(200, 50);
    Lines wide = terminal.with({"####", "p50", "slowest packets", "sort by"});
    EXPECT_GT(widest(wide), 120);
    // When it shrinks, tmux takes lines for wrapped that are not any more; but a frame that fits has its first line at
    // the top and its last one at the bottom.
    terminal.resize(60, 10);
    Lines small;
    for (int i = 0; i < 100 && !(small.size() == 10 && small[0].starts_with("vethtrace watch")); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        small = terminal.screen();
    }
    ASSERT_EQ(small.size(), 10);
    EXPECT_TRUE(small[0].starts_with("vethtrace watch")) << small[0];
    EXPECT_TRUE(small[9].starts_with(" q quit")) << small[9];
    EXPECT_TRUE(has(small, " more")) << "what has no room is counted";
}

TEST_F(Live, MindsItsKeysAndSumsUpInTheEnd) {
    Terminal terminal(120, 40, watch());
    (void)terminal.with({"b by container", "s sort by growth", node_->container(1)});
    terminal.key("b");
    (void)terminal.with({"b by interface", "v1", "eth0"});
    terminal.key("b");
    terminal.key("s");
    (void)terminal.with({"b by cpu", "s sort by p99"});
    terminal.key("Space");
    Lines frozen = terminal.with({"FROZEN"});
    std::this_thread::sleep_for(std::chrono::milliseconds(1000)); // three windows
    EXPECT_EQ(terminal.with({"FROZEN"}), frozen);
    terminal.key("Space");
    for (int i = 0; i < 50 && has(terminal.with({"q quit"}), "FROZEN"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_NE(terminal.with({"q quit"}), frozen);
    terminal.key("q");
    Lines ended = terminal.with({"q was pressed", "balanced: ", "exit status 0"});
    EXPECT_FALSE(has(ended, "NOT balanced"));
}

TEST_F(Live, HasNoColorsWhereTheyAreNotWanted) {
    const std::string color = "\033[3";
    {
        Terminal terminal(100, 30, watch());
        (void)terminal.with({"stack_rx"});
        EXPECT_NE(terminal.with_colors().find(color), std::string::npos);
    }
    Terminal terminal(100, 30, watch({"NO_COLOR=1"}));
    (void)terminal.with({"stack_rx"});
    EXPECT_EQ(terminal.with_colors().find('\033'), std::string::npos);
}

} // namespace
} // namespace vethtrace::test
