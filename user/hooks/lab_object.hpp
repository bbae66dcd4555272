// SPDX-License-Identifier: GPL-2.0-only
//
// The generated skeleton of the lab's BPF object.
#pragma once

#include "lab_layout.h"

#include "lab.skel.h"
