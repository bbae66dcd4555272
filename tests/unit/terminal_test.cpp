// SPDX-License-Identifier: GPL-2.0-only
#include "cli/terminal.hpp"

#include "core/fd.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <optional>
#include <pty.h>
#include <string>
#include <sys/mman.h>

namespace vethtrace {
namespace {

// TERM has this value, or none, as long as the object lives.
class Term {
public:
    explicit Term(const char *value) {
        if (const char *before = std::getenv("TERM"))
            before_ = before;
        set(value);
    }
    Term(const Term &) = delete;
    Term &operator=(const Term &) = delete;
    ~Term() { set(before_ ? before_->c_str() : nullptr); }

private:
    static void set(const char *value) {
        if (value == nullptr)
            unsetenv("TERM");
        else
            setenv("TERM", value, 1);
    }
    std::optional<std::string> before_;
};

TEST(Terminal, GetsEscapesOnlyIfItKnowsThem) {
    int master = -1;
    int slave = -1;
    ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    Fd ours(master);
    Fd terminal(slave);
    for (const char *kind : {"xterm", "xterm-256color", "linux", "vt100", "screen"}) {
        Term term(kind);
        EXPECT_TRUE(takes_escapes(terminal.get())) << kind;
    }
    for (const char *kind : {"dumb", ""}) {
        Term term(kind);
        EXPECT_FALSE(takes_escapes(terminal.get())) << kind;
    }
    Term none(nullptr);
    EXPECT_FALSE(takes_escapes(terminal.get())) << "not set";
}

TEST(Terminal, IsNoFile) {
    Term term("xterm");
    Fd file(memfd_create("no-terminal", MFD_CLOEXEC));
    ASSERT_TRUE(file);
    EXPECT_FALSE(takes_escapes(file.get()));
}

} // namespace
} // namespace vethtrace
