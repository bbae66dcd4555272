// SPDX-License-Identifier: GPL-2.0-only
#include "input/containers.hpp"

#include "input/document.hpp"

#include <optional>
#include <vector>

namespace vethtrace {

namespace {

// Calls `read` with the document, unless it is none.
template<typename Read>
void read_state(std::string_view text, Read read) {
    Result<nlohmann::json> json = parse_json("state", text);
    if (!json)
        return;
    std::optional<Error> first;
    read(Node(&*json, "", &first, "state"));
}

// Of a value that may be anything, without a complaint if it is no text.
std::string text_or_nothing(const nlohmann::json &json) {
    std::optional<Error> first;
    return json.is_string() ? Node(&json, "", &first, "state").text() : "";
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return parts;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r";
    std::size_t first = text.find_first_not_of(space);
    return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(space) - first + 1);
}

} // namespace

std::string text_member(std::string_view json, const char *key) {
    std::string found;
    read_state(json, [&](const Node &state) {
        if (state.has(key))
            found = state[key].text();
    });
    return found;
}

std::uint64_t count_member(std::string_view json, const char *key) {
    std::uint64_t found = 0;
    read_state(json, [&](const Node &state) {
        if (state.has(key))
            found = state[key].count();
    });
    return found;
}

std::map<std::string, std::string> annotations_in(std::string_view json) {
    std::map<std::string, std::string> found;
    Result<nlohmann::json> state = parse_json("state", json);
    if (!state || !state->is_object() || !state->contains("annotations") || !(*state)["annotations"].is_object())
        return found;
    for (const auto &[key, value] : (*state)["annotations"].items())
        if (std::string text = text_or_nothing(value); !text.empty())
            found.emplace(key, std::move(text));
    return found;
}

std::map<std::string, std::string> names_in_storage(std::string_view json) {
    std::map<std::string, std::string> found;
    Result<nlohmann::json> all = parse_json("state", json);
    if (!all || !all->is_array())
        return found;
    for (const nlohmann::json &container : *all) { // one that is odd is no reason to lose the others
        if (!container.is_object() || !container.contains("id") || !container.contains("names"))
            continue;
        const nlohmann::json &names = container["names"];
        std::string id = text_or_nothing(container["id"]);
        std::string name = names.is_array() && !names.empty() ? text_or_nothing(names.front()) : "";
        if (!id.empty() && !name.empty())
            found.emplace(std::move(id), std::move(name));
    }
    return found;
}

std::string text_in_toml(std::string_view toml, std::string_view key) {
    for (std::string_view line : split(toml, '\n')) {
        line = trimmed(line);
        std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || trimmed(line.substr(0, equals)) != key)
            continue;
        std::string_view value = trimmed(line.substr(equals + 1));
        if (value.size() < 2 || (value.front() != '"' && value.front() != '\''))
            continue;
        std::size_t end = value.find(value.front(), 1);
        if (end != std::string_view::npos)
            return std::string(value.substr(1, end - 1));
    }
    return "";
}

std::string option_in_cmdline(std::string_view cmdline, std::string_view option) {
    std::vector<std::string_view> words = split(cmdline, '\0');
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == option && i + 1 < words.size())
            return std::string(words[i + 1]);
        if (words[i].starts_with(option) && words[i].substr(option.size()).starts_with('='))
            return std::string(words[i].substr(option.size() + 1));
    }
    return "";
}

std::string home_in_passwd(std::string_view passwd, std::uint32_t uid) {
    constexpr std::size_t fields = 7;
    for (std::string_view line : split(passwd, '\n')) {
        std::vector<std::string_view> user = split(line, ':');
        if (user.size() + 1 >= fields && user[2] == std::to_string(uid) && user[5].starts_with('/'))
            return std::string(user[5]);
    }
    return "";
}

} // namespace vethtrace
