// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/probe.hpp"

#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <fstream>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vethtrace {

namespace {

// r0 = 0; exit
constexpr std::array<bpf_insn, 2> empty_program = {
    bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
    bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

// libbpf before 1.5 takes the options as const, and later ones do not.
Result<Fd> load(bpf_prog_type type, bpf_prog_load_opts &options, ProbeBody body) {
    Fd program(bpf_prog_load(type, "vethtrace_try", "GPL", body.data(), body.size(), &options));
    if (!program)
        return fail("load", refusal(-errno));
    return program;
}

Result<Fd> load_tracing(bpf_attach_type type, const BtfTarget &target, ProbeBody body) {
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = type;
    options.attach_btf_id = target.id;
    options.attach_btf_obj_fd = static_cast<__u32>(target.module_fd);
    return load(BPF_PROG_TYPE_TRACING, options, body);
}

} // namespace

std::string refusal(int code) {
    if (code == -EPERM)
        return "refused: EPERM (not permitted: kernel lockdown, or a missing capability)";
    return "refused: " + describe_errno(code);
}

ProbeBody empty_body() {
    return empty_program;
}

Result<void> attach(Probe &probe) {
    if (probe.attachment)
        return {};
    probe.attachment = Fd(bpf_raw_tracepoint_open(nullptr, probe.program.get()));
    if (!probe.attachment)
        return fail("attach", refusal(-errno));
    return {};
}

Result<Probe> load_on_tracepoint(const BtfTarget &tracepoint, ProbeBody body) {
    return load_tracing(BPF_TRACE_RAW_TP, tracepoint, body).map([](Fd program) {
        return Probe{std::move(program), Fd()};
    });
}

Result<Probe> attach_fentry(const BtfTarget &function, ProbeBody body) {
    return load_tracing(BPF_TRACE_FENTRY, function, body).and_then([](Fd program) -> Result<Probe> {
        Probe probe{std::move(program), Fd()};
        if (Result<void> attached = attach(probe); !attached)
            return tl::unexpected(attached.error());
        // A run attaches once for each of its slices; before 5.13 (commit f3a95075549e) the second time was refused.
        probe.attachment = Fd();
        if (Result<void> again = attach(probe); !again)
            return fail("attach", again.error().reason + " at the second time (a kernel before 5.13)");
        return probe;
    });
}

Result<Probe> attach_kprobe(const std::string &function, ProbeBody body) {
    int type = 0;
    if (!(std::ifstream("/sys/bus/event_source/devices/kprobe/type") >> type))
        return fail(function, "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)");
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    Result<Fd> program = load(BPF_PROG_TYPE_KPROBE, options, body);
    if (!program)
        return tl::unexpected(program.error());
    perf_event_attr attributes = {};
    attributes.size = sizeof(attributes);
    attributes.type = static_cast<__u32>(type);
    attributes.kprobe_func = reinterpret_cast<__u64>(function.c_str());
    Fd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!event && (errno == ENOENT || errno == EINVAL || errno == EADDRNOTAVAIL))
        return fail(function, "no such function in this kernel (inlined, or not built)");
    if (!event || ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program->get()) != 0 ||
        ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
        return fail(function, refusal(-errno));
    return Probe{std::move(*program), std::move(event)};
}

} // namespace vethtrace
