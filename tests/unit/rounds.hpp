#pragma once
#include <array>
#include <utility>
namespace vethtrace { inline const std::array<std::pair<double, double>, 1> same_mode_rounds = {{{1,1}}}; }
