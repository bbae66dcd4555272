// SPDX-License-Identifier: GPL-2.0-only
//
// Where a result goes: standard output, and the files that were asked for.
#pragma once

#include "cli/options.hpp"
#include "cli/result_file.hpp"
#include "cli/terminal.hpp"
#include "page/page.hpp"
#include "report/json.hpp"
#include "report/text.hpp"

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace vethtrace {

[[nodiscard]] Result<void> print(const std::string &text);

// A result in the forms that it can have, each made when it is wanted.
struct Shown {
    std::function<nlohmann::ordered_json()> json;
    std::function<std::string(const TextStyle &)> text;
    std::function<std::string()> page;
};

template<typename... Subject>
[[nodiscard]] Shown shown(const Subject &...subject) {
    return {[&] { return to_json(subject...); }, [&](const TextStyle &style) { return to_text(subject..., style); },
            [&] { return to_page(subject...); }};
}

class Publication {
public:
    // Before the work begins. The options stay where they are.
    [[nodiscard]] static Result<Publication> open(const OutputOptions &output);

    // JSON or the table to standard output, JSON and the page to their files.
    [[nodiscard]] Result<void> publish(const Shown &result);
    // The files alone.
    [[nodiscard]] Result<void> write(const Shown &result);
    [[nodiscard]] bool has_page() const { return page_.is_wanted(); }

private:
    Publication(const OutputOptions &output, ResultFile json, ResultFile page)
        : output_(output), json_(std::move(json)), page_(std::move(page)) {}

    const OutputOptions &output_;
    ResultFile json_;
    ResultFile page_;
};

} // namespace vethtrace
