// SPDX-License-Identifier: GPL-2.0-only
//
// What looking costs: the same load in the same veth lab, untraced, under empty programs, under vethtrace, and under
// other tracers, all taking turns within one run. Run by tools/bench.
#include "core/statistics.hpp"
#include "lru.skel.h"
#include "run/session.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <CLI/CLI.hpp>
#include <csignal>
#include <fmt/format.h>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

using namespace vethtrace;

namespace {

template<typename T>
T or_exit(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "bench: {}\n", result.error().text());
        std::exit(1);
    }
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

// Run time of BPF programs, as the kernel counts it while bpf_stats is on.
struct RunTime {
    std::uint64_t ns = 0;
    std::uint64_t runs = 0;

    void add(int program) {
        bpf_prog_info info = {};
        __u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
            return;
        ns += info.run_time_ns;
        runs += info.run_cnt;
    }
};

// One way to look at the load, or not to.
class Variant {
public:
    explicit Variant(std::string name) : name_(std::move(name)) {}
    virtual ~Variant() = default;
    Variant(const Variant &) = delete;
    Variant &operator=(const Variant &) = delete;

    [[nodiscard]] const std::string &name() const { return name_; }
    virtual void attach() {}
    virtual void detach() {}
    [[nodiscard]] virtual bool leaves_notes() const { return false; }
    [[nodiscard]] virtual bool has_programs() const { return true; } // whose run time is known
    [[nodiscard]] virtual RunTime run_time() const { return {}; }

private:
    std::string name_;
};

// The same tiny program on every hook that vethtrace uses.
class Everywhere : public Variant {
public:
    Everywhere(const std::string &name, const Hooks &hooks, std::span<const bpf_insn> body)
        : Variant(name), hooks_(hooks), body_(body) {}

    void attach() override {
        Features features = or_exit(Features::read());
        for (const Choice &choice : hooks_.choices) {
            if (!choice.used)
                continue;
            Probe probe = or_exit(features.probe(*choice.used, body_));
            or_exit(vethtrace::attach(probe));
            probes_.push_back(std::move(probe));
        }
    }
    void detach() override { probes_.clear(); }
    [[nodiscard]] RunTime run_time() const override {
        RunTime time;
        for (const Probe &probe : probes_)
            time.add(probe.program.get());
        return time;
    }

private:
    const Hooks &hooks_;
    std::span<const bpf_insn> body_;
    std::vector<Probe> probes_;
};

class Vethtrace : public Variant {
public:
    Vethtrace(const std::string &name, Session &session, std::unique_ptr<Engine> engine)
        : Variant(name), session_(session), mine_(std::move(engine)) {}

    void attach() override {
        theirs_ = session_.exchange(std::move(mine_));
        or_exit(session_.engine().attach());
    }
    void detach() override {
        session_.engine().detach();
        mine_ = session_.exchange(std::move(theirs_));
    }
    [[nodiscard]] bool leaves_notes() const override { return true; }
    [[nodiscard]] RunTime run_time() const override {
        RunTime time;
        for (int program : session_.engine().programs())
            time.add(program);
        return time;
    }

private:
    Session &session_;
    std::unique_ptr<Engine> mine_;
    std::unique_ptr<Engine> theirs_;
};

// What the load itself adds while it is traced: it leaves its notes, but no program is attached.
class NotesOnly : public Variant {
public:
    NotesOnly() : Variant("the load's own notes") {}
    [[nodiscard]] bool has_programs() const override { return false; }
    [[nodiscard]] bool leaves_notes() const override { return true; }
};

class Lru : public Variant {
public:
    Lru() : Variant("LRU hash") {}
    ~Lru() override { lru_bpf__destroy(skeleton_); }
    Lru(const Lru &) = delete;
    Lru &operator=(const Lru &) = delete;

    void attach() override {
        skeleton_ = lru_bpf__open_and_load();
        if (skeleton_ == nullptr || lru_bpf__attach(skeleton_) != 0) {
            fmt::print(stderr, "bench: the LRU variant cannot be loaded\n");
            std::exit(1);
        }
    }
    void detach() override {
        lru_bpf__destroy(skeleton_);
        skeleton_ = nullptr;
    }
    [[nodiscard]] RunTime run_time() const override {
        RunTime time;
        bpf_program *program = nullptr;
        bpf_object__for_each_program(program, skeleton_->obj) time.add(bpf_program__fd(program));
        return time;
    }

private:
    lru_bpf *skeleton_ = nullptr;
};

// A program in one of the lab's namespaces; ended when this object goes.
class InLab {
public:
    InLab(const std::string &netns, const std::vector<std::string> &line) {
        std::array<int, 2> ends = {};
        if (pipe(ends.data()) != 0)
            std::exit(1);
        process_ = fork();
        if (process_ == 0) {
            dup2(ends[1], STDOUT_FILENO);
            close(ends[0]);
            close(ends[1]);
            std::vector<std::string> words = {"ip", "netns", "exec", netns};
            words.insert(words.end(), line.begin(), line.end());
            std::vector<char *> arguments;
            for (std::string &word : words)
                arguments.push_back(word.data());
            arguments.push_back(nullptr);
            execvp("ip", arguments.data());
            _exit(127);
        }
        close(ends[1]);
        output_ = Fd(ends[0]);
    }
    InLab(const InLab &) = delete;
    InLab &operator=(const InLab &) = delete;
    ~InLab() {
        kill(process_, SIGTERM);
        waitpid(process_, nullptr, 0);
    }

    // All that it prints until it ends.
    std::string output() {
        std::string text;
        std::array<char, 4096> piece = {};
        for (ssize_t got = 0; (got = read(output_.get(), piece.data(), piece.size())) > 0;)
            text.append(piece.data(), static_cast<std::size_t>(got));
        return text;
    }

private:
    pid_t process_ = -1;
    Fd output_;
};

// Bulk TCP through the lab by iperf3, with tracing on against off, taking turns.
void measure_bulk(const Session &session, int rounds) {
    const Lab &lab = session.lab();
    InLab server(lab.server().name(), {"iperf3", "-s"});
    sleep(1);
    auto rate = [&] { // Gbit/s
        InLab client(lab.client().name(), {"iperf3", "-c", lab.server_address(), "-t", "1", "-J"});
        nlohmann::json result = nlohmann::json::parse(client.output(), nullptr, false);
        constexpr double giga = 1e9;
        return result.is_discarded() ? 0 : result["end"]["sum_received"]["bits_per_second"].get<double>() / giga;
    };
    std::vector<double> off;
    std::vector<double> on;
    std::vector<double> ratios;
    for (int round = 0; round < rounds; ++round) {
        off.push_back(rate());
        or_exit(session.engine().attach());
        on.push_back(rate());
        session.engine().detach();
        ratios.push_back(on.back() / off.back());
    }
    Interval interval = median_interval(ratios);
    fmt::print("bulk TCP: untraced {:.1f} Gbit/s, traced {:.1f} Gbit/s, ratio {:.3f} ({:.3f} to {:.3f}), {} rounds\n",
               *median(off), *median(on), *median(ratios), interval.low, interval.high, rounds);
}

// Another process, which says on its stdout when it is attached.
class Bpftrace : public Variant {
public:
    explicit Bpftrace(std::string script) : Variant("bpftrace"), script_(std::move(script)) {}
    [[nodiscard]] bool has_programs() const override { return false; } // of its own

    void attach() override {
        std::array<int, 2> line = {};
        if (pipe(line.data()) != 0)
            std::exit(1);
        process_ = fork();
        if (process_ == 0) {
            dup2(line[1], STDOUT_FILENO);
            close(line[0]);
            close(line[1]);
            execlp("bpftrace", "bpftrace", script_.c_str(), nullptr);
            _exit(127);
        }
        close(line[1]);
        output_ = Fd(line[0]);
        std::string said;
        std::array<char, 4096> piece = {};
        while (said.find("attached") == std::string::npos) {
            ssize_t got = read(output_.get(), piece.data(), piece.size());
            if (got <= 0) {
                fmt::print(stderr, "bench: bpftrace did not attach: {}\n", said);
                std::exit(1);
            }
            said.append(piece.data(), static_cast<std::size_t>(got));
        }
    }
    void detach() override {
        kill(process_, SIGINT);
        std::array<char, 4096> piece = {};
        while (read(output_.get(), piece.data(), piece.size()) > 0) // or it would wait for a reader
            ;
        waitpid(process_, nullptr, 0);
    }

private:
    std::string script_;
    pid_t process_ = -1;
    Fd output_;
};

// What the verifier and the JIT made of vethtrace's programs.
nlohmann::json describe_programs(const Session &session) {
    nlohmann::json programs;
    for (int program : session.engine().programs()) {
        bpf_prog_info info = {};
        __u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
            continue;
        programs[info.name] = {{"verified_instructions", info.verified_insns}, {"bytes", info.xlated_prog_len}};
    }
    return programs;
}

struct Row {
    std::vector<double> added;        // ns per transaction, one for each round
    std::vector<double> of_floor;     // the same as a ratio to the floor of its round
    std::vector<double> ns_per_event; // by bpf_stats, one for each round
    double events_per_transaction = 0;
};

struct Options {
    int rounds = 41;
    std::uint64_t count = 2000;
    int cpu = 0;
    std::uint32_t sample = 64;
    std::string bpftrace; // its script; empty: without
    bool json = false;
    bool programs = false;
    bool bulk = false;
};

constexpr std::uint64_t warmup = 200;

double mean_rtt(Session &session, const Options &options, bool notes) {
    Stretch stretch{.warmup = warmup, .count = options.count, .duration = {}, .traced = notes};
    StretchResult result = or_exit(session.load().run(stretch));
    return *result.rtt.mean();
}

double traced_rtt(Session &session, const Options &options, Variant &variant) {
    variant.attach();
    double rtt = mean_rtt(session, options, variant.leaves_notes());
    variant.detach();
    return rtt;
}

void print_table(const std::vector<std::unique_ptr<Variant>> &variants, std::map<std::string, Row> &rows,
                 double untraced) {
    auto median_of = [&](const std::string &name) { return *median(rows[name].added); };
    double floor = median_of("empty programs");
    fmt::print("untraced round trip {:.2f} us; medians of {} interleaved rounds\n\n", untraced / 1000,
               rows["empty programs"].added.size());
    fmt::print("{:<24} {:>9} {:>19} {:>9} {:>12} {:>10} {:>10}\n", "", "added", "95 % interval", "x floor",
               "x bpftrace", "events", "ns/event");
    for (const auto &variant : variants) {
        const Row &row = rows[variant->name()];
        Interval interval = median_interval(row.added);
        double added = median_of(variant->name());
        std::string against = rows.contains("bpftrace") ? fmt::format("{:.2f}", added / median_of("bpftrace")) : "-";
        fmt::print("{:<24} {:>6.0f} ns {:>8.0f} to {:>5.0f} ns {:>9.2f} {:>12} {:>10.1f} {:>10.1f}\n", variant->name(),
                   added, interval.low, interval.high, added / floor, against, row.events_per_transaction,
                   median(row.ns_per_event).value_or(0));
    }
}

} // namespace

int main(int argc, char **argv) {
    Options options;
    CLI::App app("What looking costs; see docs/performance.md.");
    app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
    app.add_option("--count", options.count, "transactions of each stretch")->capture_default_str();
    app.add_option("--cpu", options.cpu)->capture_default_str();
    app.add_option("--sample", options.sample)->capture_default_str();
    app.add_option("--bpftrace", options.bpftrace, "script of the peer");
    app.add_flag("--json", options.json);
    app.add_flag("--bulk", options.bulk, "bulk TCP by iperf3 instead");
    app.add_flag("--programs", options.programs, "only the size of the programs, as JSON");
    CLI11_PARSE(app, argc, argv);

    std::atomic<bool> stop = false;
    RunOptions run;
    run.load.client_cpu = run.load.server_cpu = options.cpu;
    std::unique_ptr<Session> session = or_exit(Session::open(run, stop, [](const std::string &) {}));

    if (options.bulk) {
        measure_bulk(*session, options.rounds);
        return 0;
    }
    if (options.programs) {
        std::cout << describe_programs(*session).dump(2) << '\n';
        return 0;
    }

    // r0 = 0; exit, and the same after one reading of the clock.
    const std::array<bpf_insn, 3> clock_body = {
        bpf_insn{.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_ktime_get_ns},
        bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
        bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

    std::vector<std::unique_ptr<Variant>> variants;
    variants.push_back(std::make_unique<Everywhere>("empty programs", session->hooks(), empty_body()));
    variants.push_back(std::make_unique<Everywhere>("one clock reading each", session->hooks(), clock_body));
    variants.push_back(
        std::make_unique<Vethtrace>("vethtrace, all packets", *session, or_exit(session->another_engine(run))));
    RunOptions sampled = run;
    sampled.sample = options.sample;
    variants.push_back(std::make_unique<Vethtrace>(fmt::format("vethtrace, 1 in {}", options.sample), *session,
                                                   or_exit(session->another_engine(sampled))));
    variants.push_back(std::make_unique<NotesOnly>());
    variants.push_back(std::make_unique<Lru>());
    if (!options.bpftrace.empty())
        variants.push_back(std::make_unique<Bpftrace>(options.bpftrace));

    std::map<std::string, Row> rows;
    std::vector<double> untraced;
    std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the order of the rounds is the same in every run
    for (int round = 0; round < options.rounds; ++round) {
        std::vector<Variant *> order;
        for (const auto &variant : variants)
            order.push_back(variant.get());
        std::shuffle(order.begin(), order.end(), random);
        double before = mean_rtt(*session, options, false);
        for (Variant *variant : order) {
            double traced = traced_rtt(*session, options, *variant);
            double after = mean_rtt(*session, options, false);
            rows[variant->name()].added.push_back(traced - (before + after) / 2);
            untraced.push_back(after);
            before = after;
        }
    }

    // Apart from the rounds, because to measure the run time of programs takes time itself.
    Fd stats(bpf_enable_stats(BPF_STATS_RUN_TIME));
    for (int round = 0; round < options.rounds; ++round) {
        for (const auto &variant : variants) {
            if (!variant->has_programs())
                continue;
            variant->attach();
            RunTime before = variant->run_time();
            (void)mean_rtt(*session, options, variant->leaves_notes());
            RunTime after = variant->run_time();
            variant->detach();
            Row &row = rows[variant->name()];
            auto runs = static_cast<double>(after.runs - before.runs);
            row.ns_per_event.push_back(static_cast<double>(after.ns - before.ns) / runs);
            row.events_per_transaction = runs / static_cast<double>(options.count + warmup);
        }
    }
    stats = Fd();

    if (!options.json) {
        print_table(variants, rows, *median(untraced));
        return 0;
    }
    nlohmann::json json = {{"schema", "vethtrace.bench/1"}, {"untraced_rtt_ns", *median(untraced)}};
    for (const auto &variant : variants) {
        const Row &row = rows[variant->name()];
        Interval interval = median_interval(row.added);
        json["variants"].push_back({{"name", variant->name()},
                                    {"added_ns", *median(row.added)},
                                    {"added_ci95_ns", {interval.low, interval.high}},
                                    {"ns_per_event", median(row.ns_per_event).value_or(0)},
                                    {"events_per_transaction", row.events_per_transaction}});
    }
    std::cout << json.dump(2) << '\n';
    return 0;
}
