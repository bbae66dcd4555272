// SPDX-License-Identifier: GPL-2.0-only
//
// The generated skeleton of the BPF object. It names the types of global variables as BPF does, without a namespace.
#pragma once

#include "layout.h"

using vethtrace::layout::watch_filter; // NOLINT(google-global-names-in-headers)

#include "vethtrace.skel.h"
