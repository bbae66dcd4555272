// SPDX-License-Identifier: GPL-2.0-only
//
// Capabilities: which are needed and what for, and as few of them as possible at any time. See docs/privileges.md.
#pragma once

#include "core/error.hpp"

#include <initializer_list>
#include <span>
#include <string_view>

namespace vethtrace {

// A capability that something needs, and what for.
struct Need {
    int capability; // CAP_...
    std::string_view what_for;
};

[[nodiscard]] std::span<const Need> needs_of_run();      // a lab, a load, and tracing
[[nodiscard]] std::span<const Need> needs_of_features(); // trying hooks
[[nodiscard]] std::span<const Need> needs_of_lab();      // namespaces and devices
[[nodiscard]] std::span<const Need> needs_of_watch();    // tracing, and finding containers
[[nodiscard]] std::span<const Need> wishes_of_watch();   // what it can do without, but not as well

// Names every capability that is missing, and what it would be for.
[[nodiscard]] Result<void> check_privileges(std::span<const Need> needs);

// Before 5.11 BPF programs and maps count against RLIMIT_MEMLOCK. Raises it where that matters, and fails where it may
// not.
[[nodiscard]] Result<void> allow_bpf_memory();

// The calling thread gives up all capabilities for good.
void give_up_privileges();

enum class Purpose {
    loading,  // to load BPF programs, whose targets may be in modules
    tracing,  // to attach them, and to ask how they fare
    kprobes,  // the same with kprobes, which are perf events
    removing, // to remove the lab
    looking,  // to see which namespaces there are, and what is in them
};

// The calling thread gives up all but what these purposes need, and that is off unless a RaisedPrivileges turns it on.
void lower_privileges(std::initializer_list<Purpose> purposes);

// While it lives, the calling thread can use the capabilities for that purpose, as far as it still has them.
class RaisedPrivileges {
public:
    explicit RaisedPrivileges(Purpose purpose);
    RaisedPrivileges(const RaisedPrivileges &) = delete;
    RaisedPrivileges &operator=(const RaisedPrivileges &) = delete;
    ~RaisedPrivileges();

private:
    void *before_; // libcap-ng's
};

} // namespace vethtrace
