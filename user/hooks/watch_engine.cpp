// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/watch_engine.hpp"

#include "core/fd.hpp"
#include "hooks/programs.hpp"
#include "hooks/shared_array.hpp"
#include "hooks/watch_object.hpp"
#include "privileges/privileges.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <chrono>
#include <thread>

namespace vethtrace {

using namespace watch_layout;

namespace {

struct FreeRing {
    void operator()(ring_buffer *ring) const { ring_buffer__free(ring); }
};

// Every element of a hash map, in batches. `full_bucket`: a batch must hold what one bucket of the hash has.
template<typename Key, typename Value>
Result<void> read_all(int map, const std::function<void(const Key &, const Value &)> &each) {
    constexpr std::uint32_t full_bucket = 256;
    std::vector<Key> keys(full_bucket);
    std::vector<Value> values(full_bucket);
    std::uint64_t cursor = 0; // where the next batch begins; only the kernel understands it
    bool first = true;
    for (;;) {
        std::uint32_t count = full_bucket;
        LIBBPF_OPTS(bpf_map_batch_opts, options);
        int code =
            bpf_map_lookup_batch(map, first ? nullptr : &cursor, &cursor, keys.data(), values.data(), &count, &options);
        if (code != 0 && code != -ENOENT)
            return fail_errno("reading what BPF has gathered", code);
        for (std::uint32_t i = 0; i < count; ++i)
            each(keys[i], values[i]);
        if (code == -ENOENT)
            return {};
        first = false;
    }
}

} // namespace

class WatchEngine::Implementation {
public:
    Implementation(const WatchEngineOptions &options, std::vector<std::string> drop_reasons)
        : options_(options), drop_reasons_(std::move(drop_reasons)) {}

    Result<void> load(const std::vector<Choice> &choices) {
        Result<BpfObject<watch_bpf>> object = BpfObject<watch_bpf>::open();
        if (!object)
            return tl::unexpected(object.error());
        object_.emplace(std::move(*object));
        set_constants(choices);
        set_sizes();
        return object_->load(choices)
            .and_then([&] { return cpus_.map(maps().cpus); })
            .and_then([&] { return slots_.map(maps().slots); })
            .and_then([&] { return slowest_.map(maps().slowest); })
            .and_then([&] { return books_.map(maps().books); })
            .and_then([&] { return unread_.map(maps().unread_sockets); })
            .and_then([&] { return open_ring(); })
            .map([&] { prepare_areas(); });
    }

    [[nodiscard]] Programs &programs() { return object_->programs(); }
    [[nodiscard]] const Programs &programs() const { return object_->programs(); }
    [[nodiscard]] watch_bpf &object() const { return object_->skeleton(); }
    [[nodiscard]] decltype(watch_bpf::maps) &maps() const { return object().maps; }
    [[nodiscard]] std::span<watch_layout::cpu_area> cpus() const { return cpus_.elements(); }
    [[nodiscard]] std::span<watch_layout::slot_pair> slots() const { return slots_.elements(); }
    [[nodiscard]] std::span<watch_layout::slowest> slowest() const { return slowest_.elements(); }
    [[nodiscard]] std::span<target_books> books() const { return books_.elements(); }
    [[nodiscard]] std::span<unread_set> unread() const { return unread_.elements(); }
    [[nodiscard]] const std::vector<std::string> &drop_reasons() const { return drop_reasons_; }

    void set_sample(std::uint32_t one_in) {
        for (watch_layout::cpu_area &cpu : cpus())
            cpu.sample_limit = sample_limit(one_in);
    }

    void poll_reported(const std::function<void(const journey &)> &each) {
        reported_ = &each;
        ring_buffer__consume(ring_.get());
        reported_ = nullptr;
    }

    Result<void> count_time(bool on) {
        if (!on) {
            statistics_ = Fd();
            return {};
        }
        RaisedPrivileges raised(Purpose::kprobes); // it takes CAP_SYS_ADMIN
        statistics_ = Fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
        if (!statistics_)
            return fail_errno("BPF statistics", errno);
        return {};
    }

private:
    void set_constants(const std::vector<Choice> &choices) {
        auto &constants = *object().rodata;
        constants.filter = options_.filter;
        constants.slower_than = options_.slower_than;
        constants.reported_at_most = options_.reported_at_most;
        std::copy(options_.harmless.begin(), options_.harmless.end(), constants.harmless);
        constants.can_cast = options_.can_cast;
        constants.sees_data_ready = std::any_of(choices.begin(), choices.end(), [](const Choice &choice) {
            return choice.ladder.name == "data_ready" && choice.used && choice.used->target != "tcp_probe";
        });
    }

    void set_sizes() {
        auto possible = static_cast<__u32>(libbpf_num_possible_cpus());
        bpf_map__set_max_entries(maps().cpus, possible);
        bpf_map__set_max_entries(maps().slowest, possible * 2);
        bpf_map__set_max_entries(maps().devices, WATCHED_DEVICES);
        bpf_map__set_max_entries(maps().series, options_.series);
        bpf_map__set_max_entries(maps().drops, WATCHED_DROPS);
        bpf_map__set_max_entries(maps().addresses, TARGET_ADDRESSES);
    }

    void prepare_areas() {
        std::uint32_t id = 0;
        for (watch_layout::cpu_area &cpu : cpus()) {
            cpu.events = std::uint64_t{id} << EVENT_COUNT_BITS;
            cpu.cpu = id++;
        }
        set_sample(options_.sample);
    }

    Result<void> open_ring() {
        RaisedPrivileges raised(Purpose::tracing);
        ring_.reset(ring_buffer__new(bpf_map__fd(maps().reported), take_reported, this, nullptr));
        if (!ring_)
            return fail_errno("ring buffer", errno);
        return {};
    }

    static int take_reported(void *self, void *data, std::size_t size) {
        const auto *each = static_cast<Implementation *>(self)->reported_;
        if (each != nullptr && size >= sizeof(journey))
            (*each)(*static_cast<const journey *>(data));
        return 0;
    }

    WatchEngineOptions options_;
    std::vector<std::string> drop_reasons_;
    std::optional<BpfObject<watch_bpf>> object_;
    SharedArray<watch_layout::cpu_area> cpus_;
    SharedArray<watch_layout::slot_pair> slots_;
    SharedArray<watch_layout::slowest> slowest_;
    SharedArray<target_books> books_;
    SharedArray<unread_set> unread_;
    std::unique_ptr<ring_buffer, FreeRing> ring_;
    const std::function<void(const journey &)> *reported_ = nullptr; // during poll_reported()
    Fd statistics_;                                                  // the kernel counts time while it is open
};

WatchEngine::WatchEngine(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}

WatchEngine::~WatchEngine() = default;

Result<std::unique_ptr<WatchEngine>> WatchEngine::load(const WatchEngineOptions &options,
                                                       const std::vector<Choice> &choices,
                                                       std::vector<std::string> drop_reasons) {
    auto implementation = std::make_unique<Implementation>(options, std::move(drop_reasons));
    if (Result<void> loaded = implementation->load(choices); !loaded)
        return tl::unexpected(loaded.error());
    return std::unique_ptr<WatchEngine>(new WatchEngine(std::move(implementation)));
}

Result<void> WatchEngine::attach() {
    return implementation_->programs().attach();
}

void WatchEngine::follow() {
    implementation_->object().bss->following = 1;
}

void WatchEngine::detach() {
    constexpr std::chrono::milliseconds until_packets_have_passed(20);
    implementation_->object().bss->following = 0;
    std::this_thread::sleep_for(until_packets_have_passed);
    implementation_->programs().detach();
}

Result<void> WatchEngine::set_device(std::uint64_t place, const watched_device &device) {
    RaisedPrivileges raised(Purpose::tracing);
    int code = bpf_map_update_elem(bpf_map__fd(implementation_->maps().devices), &place, &device, BPF_ANY);
    if (code == -E2BIG)
        return fail("devices", "there are more than fit into the table");
    if (code != 0)
        return fail_errno("table of devices", code);
    return {};
}

void WatchEngine::remove_device(std::uint64_t place) {
    RaisedPrivileges raised(Purpose::tracing);
    bpf_map_delete_elem(bpf_map__fd(implementation_->maps().devices), &place);
}

void WatchEngine::set_address(const target_address &address, std::uint32_t target) {
    RaisedPrivileges raised(Purpose::tracing);
    bpf_map_update_elem(bpf_map__fd(implementation_->maps().addresses), &address, &target, BPF_ANY);
}

void WatchEngine::remove_address(const target_address &address) {
    RaisedPrivileges raised(Purpose::tracing);
    bpf_map_delete_elem(bpf_map__fd(implementation_->maps().addresses), &address);
}

void WatchEngine::set_tunnels(bool any) {
    implementation_->object().bss->has_tunnels = any ? 1 : 0;
}

void WatchEngine::set_sample(std::uint32_t one_in) {
    implementation_->set_sample(one_in);
}

void WatchEngine::set_grouping(watch_group group) {
    implementation_->object().bss->grouping = group;
}

std::uint64_t WatchEngine::next_window() {
    return implementation_->object().data->window++;
}

Result<void> WatchEngine::read_series(const EachSeries &each) const {
    RaisedPrivileges raised(Purpose::tracing);
    return read_all<series_key, series>(bpf_map__fd(implementation_->maps().series), each);
}

void WatchEngine::remove_series(const series_key &key) {
    RaisedPrivileges raised(Purpose::tracing);
    bpf_map_delete_elem(bpf_map__fd(implementation_->maps().series), &key);
}

Result<std::vector<WatchEngine::Drop>> WatchEngine::drops() const {
    RaisedPrivileges raised(Purpose::tracing);
    std::vector<Drop> drops;
    return read_all<drop_key, std::uint64_t>(
               bpf_map__fd(implementation_->maps().drops),
               [&](const drop_key &key, const std::uint64_t &count) { drops.emplace_back(key, count); })
        .map([&] { return std::move(drops); });
}

void WatchEngine::remove_drop(const drop_key &key) {
    RaisedPrivileges raised(Purpose::tracing);
    bpf_map_delete_elem(bpf_map__fd(implementation_->maps().drops), &key);
}

std::string WatchEngine::reason_name(std::size_t reason) const {
    return drop_reason_name(implementation_->drop_reasons(), reason);
}

std::vector<journey> WatchEngine::slowest(std::uint64_t window) const {
    std::vector<journey> all;
    std::span<const watch_layout::slowest> tables = implementation_->slowest();
    for (std::size_t i = window & 1; i < tables.size(); i += 2)
        if (tables[i].window == window)
            all.insert(all.end(), tables[i].journey,
                       tables[i].journey + std::min<std::size_t>(tables[i].used, SLOWEST));
    return all;
}

void WatchEngine::poll_reported(const std::function<void(const journey &)> &each) {
    implementation_->poll_reported(each);
}

target_books WatchEngine::books(std::uint32_t index) const {
    return implementation_->books()[index];
}

std::uint64_t WatchEngine::now() {
    return static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

std::vector<unread> WatchEngine::unread() const {
    std::vector<watch_layout::unread> all;
    for (const unread_set &set : implementation_->unread())
        std::copy_if(std::begin(set.way), std::end(set.way), std::back_inserter(all),
                     [](const watch_layout::unread &one) { return one.socket != 0 && one.since != 0; });
    return all;
}

std::vector<WatchEngine::Tallies> WatchEngine::tallies() const {
    std::vector<Tallies> all;
    all.reserve(implementation_->cpus().size());
    for (const watch_layout::cpu_area &cpu : implementation_->cpus()) {
        Tallies tallies = {};
        std::copy_n(cpu.tallies, WATCH_TALLIES, tallies.begin());
        all.push_back(tallies);
    }
    return all;
}

std::vector<std::uint64_t> WatchEngine::events() const {
    std::span<const watch_layout::cpu_area> cpus = implementation_->cpus();
    std::vector<std::uint64_t> events(cpus.size());
    std::transform(cpus.begin(), cpus.end(), events.begin(),
                   [](const watch_layout::cpu_area &cpu) { return cpu.events & ((1ULL << EVENT_COUNT_BITS) - 1); });
    return events;
}

std::uint64_t WatchEngine::in_flight() const {
    std::uint64_t count = 0;
    for (const watch_layout::slot_pair &pair : implementation_->slots())
        for (const watch_layout::slot &slot : pair.slot)
            count += slot.skb != 0 && slot.target != 0 && (slot.state & SLOT_DELIVERED) == 0 ? 1 : 0;
    return count;
}

Result<void> WatchEngine::count_time(bool on) {
    return implementation_->count_time(on);
}

WatchEngine::Spent WatchEngine::spent() const {
    RaisedPrivileges raised(Purpose::tracing);
    Spent spent;
    for (int program : implementation_->programs().descriptors()) {
        bpf_prog_info info = {};
        __u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
            continue;
        spent.ns += info.run_time_ns;
        spent.runs += info.run_cnt;
    }
    return spent;
}

std::uint64_t WatchEngine::missed() const {
    std::uint64_t all = 0;
    for (const auto &[program, missed] : implementation_->programs().missed())
        all += missed;
    return all;
}

} // namespace vethtrace
