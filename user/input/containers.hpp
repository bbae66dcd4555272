// SPDX-License-Identifier: GPL-2.0-only
//
// What the state and configuration files of container runtimes say. Their texts come from other programs, and those of
// rootless runtimes from any user: what is not as it should be says nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace vethtrace {

// A text member of a JSON object, printable; empty: there is none.
[[nodiscard]] std::string text_member(std::string_view json, const char *key);
// A number that is not negative; 0: there is none.
[[nodiscard]] std::uint64_t count_member(std::string_view json, const char *key);
// All members of the object "annotations" that are texts.
[[nodiscard]] std::map<std::string, std::string> annotations_in(std::string_view json);
// Of containers/storage's containers.json: the first name of each container that has one, by identifier.
[[nodiscard]] std::map<std::string, std::string> names_in_storage(std::string_view json);

// The value of `key = "..."` in a TOML file; empty: it is not set. In which table it stands is not looked at.
[[nodiscard]] std::string text_in_toml(std::string_view toml, std::string_view key);
// The value of `--option VALUE` or `--option=VALUE` in a /proc/PID/cmdline; empty: it is not there.
[[nodiscard]] std::string option_in_cmdline(std::string_view cmdline, std::string_view option);
// The home directory of a user, from /etc/passwd; empty: it is not known.
[[nodiscard]] std::string home_in_passwd(std::string_view passwd, std::uint32_t uid);

} // namespace vethtrace
