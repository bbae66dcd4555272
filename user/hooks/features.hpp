// SPDX-License-Identifier: GPL-2.0-only
//
// What this kernel allows, found out by trying: an empty program is loaded, and for functions attached as well.
#pragma once

#include "core/error.hpp"
#include "core/ladder.hpp"
#include "hooks/probe.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vethtrace {

class Features {
public:
    // Reads the kernel's BTF. Kernel modules that are to be hooked must be loaded before.
    [[nodiscard]] static Result<Features> read();
    Features(Features &&) noexcept;
    Features &operator=(Features &&) noexcept;
    Features(const Features &) = delete;
    Features &operator=(const Features &) = delete;
    ~Features();

    // An empty program on one rung, or why this kernel refuses it.
    [[nodiscard]] Result<Probe> probe(const Rung &rung, ProbeBody body = empty_body());

    // Climbs down one ladder: the first rung that is not denied and that this kernel allows.
    [[nodiscard]] Choice choose(const Ladder &ladder, const Denied &denied);
    [[nodiscard]] std::vector<Choice> choose_all(const std::vector<Ladder> &ladders, const Denied &denied);

    // Whether programs may call bpf_rdonly_cast(): since 6.2.
    [[nodiscard]] bool can_cast() const;

    // The names of enum skb_drop_reason by value; empty before 5.17.
    [[nodiscard]] std::vector<std::string> drop_reasons() const;

private:
    class Implementation;
    explicit Features(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

// The first required ladder on which no rung is left, as an error.
[[nodiscard]] Result<void> check_required(const std::vector<Choice> &choices);

} // namespace vethtrace
