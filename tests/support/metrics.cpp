// SPDX-License-Identifier: GPL-2.0-only
#include "support/metrics.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace vethtrace::test {

namespace {

// NAME or NAME{LABEL="VALUE",...}, then a space and the value.
std::optional<Sample> parse(const std::string &line) {
    Sample sample;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos)
        return std::nullopt;
    sample.name = line.substr(0, at);
    if (line[at] == '{') {
        ++at;
        while (at < line.size() && line[at] != '}') {
            std::size_t equals = line.find("=\"", at);
            if (equals == std::string::npos)
                return std::nullopt;
            std::string name = line.substr(at, equals - at);
            std::string value;
            for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
                if (line[at] == '\\')
                    value += line[++at] == 'n' ? '\n' : line[at];
                else
                    value += line[at];
            }
            if (!sample.labels.emplace(name, value).second)
                return std::nullopt;
            at += line.substr(at, 2) == "\"," ? 2 : 1;
        }
        ++at;
    }
    if (at >= line.size() || line[at] != ' ')
        return std::nullopt;
    const char *begin = line.c_str() + at + 1;
    char *end = nullptr;
    sample.value = std::strtod(begin, &end);
    return *begin != '\0' && *end == '\0' ? std::optional(sample) : std::nullopt;
}

bool has(const Sample &sample, const Metrics::Labels &labels) {
    return std::all_of(labels.begin(), labels.end(), [&](const auto &label) {
        auto known = sample.labels.find(label.first);
        return known != sample.labels.end() && known->second == label.second;
    });
}

} // namespace

Metrics::Metrics(const std::string &text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE ")) {
            std::istringstream words(line.substr(7));
            std::string name;
            words >> name;
            EXPECT_TRUE(types_.try_emplace(name).second) << name << " is there twice";
            words >> types_[name];
        }
        if (line.empty() || line.front() == '#')
            continue;
        std::optional<Sample> sample = parse(line);
        EXPECT_TRUE(sample) << line;
        if (sample)
            samples_.push_back(std::move(*sample));
    }
    EXPECT_EQ(by_series().size(), samples_.size()) << "a series is there twice";
}

std::optional<double> Metrics::sum(const std::string &name, const Labels &labels) const {
    std::optional<double> sum;
    for (const Sample &sample : samples_)
        if (sample.name == name && has(sample, labels))
            sum = sum.value_or(0) + sample.value;
    return sum;
}

std::vector<std::string> Metrics::values_of(const std::string &name, const std::string &label) const {
    std::set<std::string> values;
    for (const Sample &sample : samples_)
        if (auto known = sample.labels.find(label); sample.name == name && known != sample.labels.end())
            values.insert(known->second);
    return {values.begin(), values.end()};
}

std::map<std::string, double> Metrics::by_series() const {
    std::map<std::string, double> all;
    for (const Sample &sample : samples_) {
        std::string text = sample.name;
        for (const auto &[name, value] : sample.labels)
            text += " " + name + "=" + value;
        all[text] = sample.value;
    }
    return all;
}

std::vector<std::string> Metrics::fallen_since(const Metrics &earlier) const {
    std::map<std::string, double> before = earlier.by_series();
    std::vector<std::string> fallen;
    for (const auto &[series, value] : by_series()) {
        std::string name = series.substr(0, series.find(' '));
        bool counts = name.ends_with("_total") || name.ends_with("_bucket") || name.ends_with("_count") ||
                      (name.ends_with("_sum"));
        if (auto known = before.find(series); counts && known != before.end() && known->second > value)
            fallen.push_back(series);
    }
    return fallen;
}

} // namespace vethtrace::test
