// SPDX-License-Identifier: GPL-2.0-only
//
// The BPF object: which of its programs are used, loading it, attaching and detaching them. What its maps hold is known
// to the engines.
#pragma once

#include "core/error.hpp"
#include "core/ladder.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct vethtrace_bpf;
struct bpf_link;
struct bpf_program;

namespace vethtrace {

class Programs {
public:
    // Opens the object; its constants and the sizes of its maps can be set until load().
    [[nodiscard]] static Result<Programs> open();
    Programs(Programs &&) noexcept = default;
    Programs &operator=(Programs &&) noexcept = default;
    Programs(const Programs &) = delete;
    Programs &operator=(const Programs &) = delete;
    ~Programs() = default;

    [[nodiscard]] vethtrace_bpf &object() const { return *object_; }

    // Loads the programs of the chosen rungs and no others.
    [[nodiscard]] Result<void> load(const std::vector<Choice> &choices);

    [[nodiscard]] Result<void> attach();
    void detach();

    // Descriptors of the programs that are used.
    [[nodiscard]] std::vector<int> descriptors() const;

    // By program: calls that the kernel suppressed.
    [[nodiscard]] std::map<std::string, std::uint64_t> missed() const;

private:
    struct Selected {
        Rung rung;
        bpf_program *program = nullptr;
    };
    struct Destroy {
        void operator()(vethtrace_bpf *object) const;
        void operator()(bpf_link *link) const;
    };

    explicit Programs(std::unique_ptr<vethtrace_bpf, Destroy> object) : object_(std::move(object)) {}
    Result<void> select(const std::vector<Choice> &choices);

    std::unique_ptr<vethtrace_bpf, Destroy> object_;
    std::vector<Selected> selected_;
    std::vector<std::unique_ptr<bpf_link, Destroy>> links_; // go before the programs
};

// The kernel's name of the reason for a drop, as BPF numbers it; `names` are those of this kernel.
[[nodiscard]] std::string drop_reason_name(const std::vector<std::string> &names, std::size_t reason);

} // namespace vethtrace
