// SPDX-License-Identifier: GPL-2.0-only
#include "run/session.hpp"

#include "hooks/calibration.hpp"
#include "lab/setup.hpp"
#include "privileges/privileges.hpp"

#include <algorithm>
#include <malloc.h>

namespace vethtrace {

namespace {

using namespace layout;

// What is hooked on this kernel. The last rung for data_ready has a station of its own, which then replaces the other.
Result<Hooks> choose_hooks(Way &way, const Denied &denied) {
    Result<Features> features = Features::read();
    if (!features)
        return tl::unexpected(features.error());
    Hooks hooks{features->choose_all(ladders_for(way), denied), features->drop_reasons(), features->can_cast()};
    if (Result<void> complete = check_required(hooks.choices); !complete)
        return tl::unexpected(complete.error());
    for (const Choice &choice : hooks.choices)
        if (choice.ladder.name == "data_ready" && choice.used->target == "tcp_probe")
            for (end end : {END_CLIENT, END_SERVER})
                way.replace(at(MOMENT_DATA_READY, end), at(MOMENT_TCP_RCV, end));
    auto is_kprobe = [](const Choice &choice) { return choice.used && choice.used->kind == HookKind::kprobe; };
    if (std::any_of(hooks.choices.begin(), hooks.choices.end(), is_kprobe))
        hooks.kprobe_extra_ns = measure_kprobe_extra(*features).value_or(0);
    return hooks;
}

} // namespace

Result<std::unique_ptr<Engine>> Session::another_engine(const RunOptions &options) const {
    EngineOptions engine{.way = way_,
                         .netns = {lab_->client().inode(), lab_->server().inode()},
                         .message_bytes = {options.load.request_bytes, options.load.response_bytes},
                         .flows = options.load.flows,
                         .can_cast = hooks_.can_cast,
                         .sample = options.sample,
                         .timelines = options.timelines,
                         .timeline_stride = 1,
                         .mutation = options.mutation};
    if (options.count && options.timelines != 0) // spread over the run of the first flow
        engine.timeline_stride = std::max<std::uint64_t>(*options.count / options.load.flows / options.timelines, 1);
    Result<std::unique_ptr<Engine>> loaded = Engine::load(engine, hooks_.choices, hooks_.drop_reasons);
    malloc_trim(0); // the kernel's BTF took some 30 MB for a moment
    return loaded;
}

std::unique_ptr<Engine> Session::exchange(std::unique_ptr<Engine> engine) {
    std::swap(engine, engine_);
    Notes notes = engine_->notes();
    const std::vector<FlowCookies> &cookies = load_->cookies();
    for (std::size_t i = 0; i < notes.flows.size(); ++i)
        std::copy(cookies[i].cookie.begin(), cookies[i].cookie.end(), notes.flows[i].cookie);
    load_->set_notes(notes);
    return engine;
}

Result<std::unique_ptr<Session>> Session::open(const RunOptions &options, const std::atomic<bool> &stop,
                                               const Progress &progress) {
    Result<Way> way = Way::of(options.mode, options.topology);
    if (!way)
        return tl::unexpected(way.error());

    progress("building the lab");
    if (Result<std::vector<std::string>> collected = collect_garbage(); !collected)
        return tl::unexpected(collected.error());
    // Before the hooks are chosen: it loads the modules whose functions are to be hooked.
    Result<std::unique_ptr<Lab>> lab = Lab::build(options.mode, options.topology);
    if (!lab)
        return tl::unexpected(lab.error());

    if (!options.setup.empty())
        if (Result<void> set_up = run_setup((*lab)->host().fd(), (*lab)->name(), options.setup); !set_up)
            return tl::unexpected(set_up.error());

    progress("choosing hooks");
    Result<Hooks> hooks = choose_hooks(*way, options.denied);
    if (!hooks)
        return tl::unexpected(hooks.error());
    std::unique_ptr<Session> session(new Session(std::move(*way), std::move(*lab), std::move(*hooks)));

    progress("loading programs");
    Result<std::unique_ptr<Engine>> engine = session->another_engine(options);
    if (!engine)
        return tl::unexpected(engine.error());

    progress("connecting");
    Result<std::unique_ptr<TcpRr>> load = TcpRr::connect(session->lab_->client().fd(), session->lab_->server().fd(),
                                                         session->lab_->server_address(), options.load, stop);
    if (!load)
        return tl::unexpected(load.error());
    session->settings_ = session->lab_->settings();
    session->load_ = std::move(*load);
    session->exchange(std::move(*engine));
    if (options.lower_privileges)
        lower_privileges({Purpose::tracing, Purpose::removing});
    return session;
}

} // namespace vethtrace
