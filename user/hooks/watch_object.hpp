// SPDX-License-Identifier: GPL-2.0-only
//
// The generated skeleton of watch's BPF object. It names the types of global variables as BPF does, without a
// namespace.
#pragma once

#include "watch_layout.h"

using vethtrace::watch_layout::watch_filter; // NOLINT(google-global-names-in-headers)

#include "watch.skel.h"
