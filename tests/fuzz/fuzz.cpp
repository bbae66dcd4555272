// SPDX-License-Identifier: GPL-2.0-only
//
// Everything that is read from outside, fed with whatever libFuzzer can think of. VETHTRACE_FUZZ says which kind: one
// program for all, so that what they share is compiled once.
#include "input/stored.hpp"
#include "input/target.hpp"
#include "report/json.hpp"
#include "report/text.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

using namespace vethtrace;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

bool is_plain(std::string_view text) {
    return text.find('\033') == std::string_view::npos && text.find('\0') == std::string_view::npos;
}

// What was accepted can be shown, and comes back from the file that it would be written to as it is.
void stored(std::string_view text) {
    Result<Stored> result = parse_stored("fuzz", text);
    if (!result) {
        require(is_plain(result.error().text()));
        return;
    }
    TextStyle wide;
    wide.width = 200;
    wide.verbosity = 1;
    std::string once = std::visit(
        [&](const auto &which) {
            require(is_plain(to_text(which, wide)));
            return to_text(to_json(which), false);
        },
        *result);
    Result<Stored> again = parse_stored("fuzz", once);
    require(again.has_value());
    Result<DiffResult> nothing = diff({"before", *result}, {"after", *again}, {.threshold = 0.01, .allowed = 0.05});
    require(nothing.has_value() && is_plain(to_text(*nothing, wide)) && !to_text(to_json(*nothing), false).empty());
    require(std::visit([](const auto &which) { return to_text(to_json(which), false); }, *again) == once);
}

void netns(std::string_view text) {
    Result<NetnsTarget> target = parse_netns(text);
    if (!target)
        return require(is_plain(target.error().text()));
    if (const auto *name = std::get_if<NetnsName>(&*target))
        require(name->name.find('/') == std::string::npos && name->name != "." && name->name != "..");
}

void container(std::string_view text) {
    Result<std::string> name = parse_container(text);
    require(name ? *name == text && is_plain(*name) : is_plain(name.error().text()));
}

void ports(std::string_view text) {
    Result<std::vector<PortRange>> ranges = parse_ports(text);
    if (!ranges)
        return require(is_plain(ranges.error().text()));
    for (const PortRange &range : *ranges)
        require(range.first >= 1 && range.first <= range.last);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    static const std::string_view kind = std::getenv("VETHTRACE_FUZZ") == nullptr ? "" : std::getenv("VETHTRACE_FUZZ");
    std::string_view text(reinterpret_cast<const char *>(data), size);
    if (kind == "stored")
        stored(text);
    else if (kind == "netns")
        netns(text);
    else if (kind == "container")
        container(text);
    else if (kind == "ports")
        ports(text);
    else
        std::abort();
    (void)printable(text);
    return 0;
}
