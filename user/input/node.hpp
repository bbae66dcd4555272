// SPDX-License-Identifier: GPL-2.0-only
//
// A value in a JSON document that somebody else may have written, with its place in it. The first thing that is wrong
// is kept; from then on every value is empty, so that whoever reads need not ask after each step.
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vethtrace {

// Counts and times that no run reaches (2^53, the last number that every reader of JSON can tell from its neighbours).
constexpr std::uint64_t most_of_anything = std::uint64_t{1} << 53;

class Node {
public:
    Node(const nlohmann::json *json, std::string path, std::optional<Error> *first, std::string document)
        : json_(json), path_(std::move(path)), first_(first), document_(std::move(document)) {}

    // A member that must be there, and one that need not.
    [[nodiscard]] Node operator[](const char *key) const;
    [[nodiscard]] bool has(const char *key) const;
    [[nodiscard]] bool is_null() const;

    [[nodiscard]] std::uint64_t count(std::uint64_t most = most_of_anything) const;
    [[nodiscard]] double number() const; // finite, and not larger than any time or count
    [[nodiscard]] double ratio() const;  // the same, as a part of a whole
    [[nodiscard]] bool flag() const;
    [[nodiscard]] std::string text() const; // printable
    [[nodiscard]] std::vector<Node> items() const;
    [[nodiscard]] std::vector<std::pair<std::string, Node>> members() const;

    // Says what is wrong here.
    void refuse(const std::string &reason) const;
    // One of the names that `named` knows; it gives null for others.
    template<typename Find>
    [[nodiscard]] auto one_of(Find named, const char *what) const {
        auto found = named(text());
        if (!found && !failed())
            refuse(std::string("is not ") + what);
        return found.value_or(typename decltype(found)::value_type{});
    }
    [[nodiscard]] bool failed() const { return first_->has_value(); }

private:
    [[nodiscard]] Node child(const nlohmann::json *json, const std::string &step) const;
    [[nodiscard]] bool expect(bool right, const char *expected) const;

    const nlohmann::json *json_; // null: something was wrong before
    std::string path_;
    std::optional<Error> *first_;
    std::string document_;
};

} // namespace vethtrace
