// SPDX-License-Identifier: GPL-2.0-only
#include "watch/softnet.hpp"

#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace vethtrace {

namespace {

std::vector<std::uint64_t> numbers_in(std::string_view line) {
    constexpr int hexadecimal = 16;
    std::vector<std::uint64_t> numbers;
    while (!line.empty()) {
        std::uint64_t number = 0;
        auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number, hexadecimal);
        if (error != std::errc())
            break;
        numbers.push_back(number);
        line.remove_prefix(static_cast<std::size_t>(end - line.data()));
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    return numbers;
}

} // namespace

SoftnetReading parse_softnet(std::string_view text) {
    constexpr std::size_t least = 3;
    constexpr std::size_t cpu_column = 12;
    SoftnetReading reading;
    int line_number = 0;
    while (!text.empty()) {
        std::size_t end = text.find('\n');
        std::vector<std::uint64_t> columns = numbers_in(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        int cpu = columns.size() > cpu_column ? static_cast<int>(columns[cpu_column]) : line_number;
        ++line_number;
        if (columns.size() >= least)
            reading[cpu] = {.processed = columns[0], .dropped = columns[1], .time_squeezed = columns[2]};
    }
    return reading;
}

Result<SoftnetReading> read_softnet() {
    const char *path = "/proc/net/softnet_stat";
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file)
        return fail(path, "cannot be read");
    return parse_softnet(text.str());
}

SoftnetReading difference(const SoftnetReading &before, const SoftnetReading &after) {
    constexpr std::uint64_t wrap = std::uint64_t{1} << 32;
    constexpr std::uint64_t half = wrap / 2;
    auto grown = [&](std::uint64_t from, std::uint64_t to) {
        std::uint64_t by = (to - from) % wrap;
        return by < half ? by : to; // back to nothing, when a CPU came back
    };
    SoftnetReading reading;
    for (const auto &[cpu, now] : after) {
        auto known = before.find(cpu);
        Softnet was = known == before.end() ? Softnet{} : known->second;
        reading[cpu] = {.processed = grown(was.processed, now.processed),
                        .dropped = grown(was.dropped, now.dropped),
                        .time_squeezed = grown(was.time_squeezed, now.time_squeezed)};
    }
    return reading;
}

} // namespace vethtrace
