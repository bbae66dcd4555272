// SPDX-License-Identifier: GPL-2.0-only
//
// The kernel's types as libbpf reads them, freed when they go.
#pragma once

#include <bpf/btf.h>
#include <memory>

namespace vethtrace {

struct FreeBtf {
    void operator()(btf *types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, FreeBtf>;

} // namespace vethtrace
