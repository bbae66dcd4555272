// SPDX-License-Identifier: GPL-2.0-only
#include "input/node.hpp"

#include "input/target.hpp"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

Node Node::operator[](const char *key) const {
    if (!expect(json_ == nullptr || json_->is_object(), "an object") || json_ == nullptr)
        return child(nullptr, key);
    auto member = json_->find(key);
    if (member == json_->end()) {
        refuse(fmt::format("has no \"{}\"", key));
        return child(nullptr, key);
    }
    return child(&*member, key);
}

bool Node::has(const char *key) const {
    return json_ != nullptr && json_->is_object() && json_->contains(key);
}

bool Node::is_null() const {
    return json_ == nullptr || json_->is_null();
}

std::uint64_t Node::count(std::uint64_t most) const {
    if (!expect(json_ == nullptr || json_->is_number_unsigned(), "a whole number that is not negative") ||
        json_ == nullptr)
        return 0;
    auto value = json_->get<std::uint64_t>();
    if (value <= most)
        return value;
    refuse(fmt::format("is {}, and at most {} is possible", value, most));
    return 0;
}

double Node::number() const {
    if (!expect(json_ == nullptr || json_->is_number(), "a number") || json_ == nullptr)
        return 0;
    auto value = json_->get<double>();
    if (std::isfinite(value) && std::abs(value) <= static_cast<double>(most_of_anything))
        return value;
    refuse("is larger than anything that was measured can be");
    return 0;
}

double Node::ratio() const {
    constexpr double most = 1e9;
    double value = number();
    if (std::abs(value) <= most)
        return value;
    refuse("is no ratio");
    return 0;
}

bool Node::flag() const {
    if (!expect(json_ == nullptr || json_->is_boolean(), "true or false") || json_ == nullptr)
        return false;
    return json_->get<bool>();
}

std::string Node::text() const {
    if (!expect(json_ == nullptr || json_->is_string(), "a string") || json_ == nullptr)
        return {};
    return printable(json_->get_ref<const std::string &>());
}

std::vector<Node> Node::items() const {
    std::vector<Node> nodes;
    if (!expect(json_ == nullptr || json_->is_array(), "an array") || json_ == nullptr)
        return nodes;
    for (std::size_t i = 0; i < json_->size(); ++i)
        nodes.push_back(child(&(*json_)[i], fmt::format("[{}]", i)));
    return nodes;
}

std::vector<std::pair<std::string, Node>> Node::members() const {
    std::vector<std::pair<std::string, Node>> nodes;
    if (!expect(json_ == nullptr || json_->is_object(), "an object") || json_ == nullptr)
        return nodes;
    for (const auto &[key, value] : json_->items())
        nodes.emplace_back(printable(key), child(&value, printable(key)));
    return nodes;
}

void Node::refuse(const std::string &reason) const {
    if (!failed())
        *first_ = Error{document_, fmt::format("{} {}", path_.empty() ? "the document" : path_, reason),
                        "a file that `vethtrace -o FILE` wrote can be read"};
}

Node Node::child(const nlohmann::json *json, const std::string &step) const {
    std::string path = path_.empty() || step.front() == '[' ? path_ + step : path_ + "." + step;
    return {failed() ? nullptr : json, std::move(path), first_, document_};
}

bool Node::expect(bool right, const char *expected) const {
    if (!right)
        refuse(
            fmt::format("is {}, and {} was expected", json_->is_array() ? "an array" : json_->type_name(), expected));
    return right;
}

} // namespace vethtrace
