// SPDX-License-Identifier: GPL-2.0-only
//
// Completions of the command line for shells, made from the description that the parser works by: what is an option
// there is an option here.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

enum class Shell { bash, zsh, fish };

[[nodiscard]] const std::vector<std::string> &shell_names();
[[nodiscard]] std::optional<Shell> shell_named(std::string_view name);

// A script for the shell to source.
[[nodiscard]] std::string completion_script(const CLI::App &app, Shell shell);

} // namespace vethtrace
