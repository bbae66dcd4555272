// SPDX-License-Identifier: GPL-2.0-only
//
// A BPF object: which of its programs are used, loading it, attaching and detaching them. What its maps hold is known
// to the engines.
#pragma once

#include "core/error.hpp"
#include "core/ladder.hpp"
#include "privileges/privileges.hpp"

#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct bpf_object;
struct bpf_link;
struct bpf_program;

namespace vethtrace {

// The programs of an object that are used.
class Programs {
public:
    // Chooses the programs of those rungs and no others; before the object is loaded.
    [[nodiscard]] Result<void> select(bpf_object *object, const std::vector<Choice> &choices);

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
        void operator()(bpf_link *link) const;
    };

    std::vector<Selected> selected_;
    std::vector<std::unique_ptr<bpf_link, Destroy>> links_;
};

// What libbpf has to say of a call that failed since the last forget_libbpf().
[[nodiscard]] tl::unexpected<Error> libbpf_failed(const std::string &object, int code);
void forget_libbpf();

// An object of the generated type Skeleton, and those of its programs that are used.
template<typename Skeleton>
class BpfObject {
public:
    // Its constants and the sizes of its maps can be set until load().
    [[nodiscard]] static Result<BpfObject> open() {
        forget_libbpf();
        RaisedPrivileges raised(Purpose::tracing);
        std::unique_ptr<Skeleton, Destroy> skeleton(Skeleton::open());
        if (!skeleton)
            return libbpf_failed("BPF object", errno);
        return BpfObject(std::move(skeleton));
    }

    [[nodiscard]] Skeleton &skeleton() const { return *skeleton_; }
    [[nodiscard]] Programs &programs() { return programs_; }
    [[nodiscard]] const Programs &programs() const { return programs_; }

    // Loads the programs of the chosen rungs and no others.
    [[nodiscard]] Result<void> load(const std::vector<Choice> &choices) {
        RaisedPrivileges raised(Purpose::loading);
        if (Result<void> selected = programs_.select(skeleton_->obj, choices); !selected)
            return selected;
        if (int code = Skeleton::load(skeleton_.get()); code != 0)
            return libbpf_failed("loading of the BPF programs", code);
        return {};
    }

private:
    struct Destroy {
        void operator()(Skeleton *skeleton) const { Skeleton::destroy(skeleton); }
    };

    explicit BpfObject(std::unique_ptr<Skeleton, Destroy> skeleton) : skeleton_(std::move(skeleton)) {}

    std::unique_ptr<Skeleton, Destroy> skeleton_;
    Programs programs_; // its links go before the object
};

// The kernel's name of the reason for a drop, as BPF numbers it; `names` are those of this kernel.
[[nodiscard]] std::string drop_reason_name(const std::vector<std::string> &names, std::size_t reason);

} // namespace vethtrace
