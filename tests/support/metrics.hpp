// SPDX-License-Identifier: GPL-2.0-only
//
// Prometheus's text format, as a scraper reads it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace::test {

struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    double value = 0;
};

class Metrics {
public:
    // A line that is none of the format is a failure of the test.
    explicit Metrics(const std::string &text);

    [[nodiscard]] const std::vector<Sample> &samples() const { return samples_; }

    // The sum of all with that name and these labels, whatever others they have; null: there is none.
    using Labels = std::map<std::string, std::string>;
    [[nodiscard]] std::optional<double> sum(const std::string &name, const Labels &labels = {}) const;
    [[nodiscard]] double value(const std::string &name, const Labels &labels = {}) const { // 0: there is none
        return sum(name, labels).value_or(0);
    }
    // The values that a label has in metrics of that name.
    [[nodiscard]] std::vector<std::string> values_of(const std::string &name, const std::string &label) const;

    // By the text of name and labels.
    [[nodiscard]] std::map<std::string, double> by_series() const;
    // Those of which a count has gone down since.
    [[nodiscard]] std::vector<std::string> fallen_since(const Metrics &earlier) const;

private:
    std::vector<Sample> samples_;
    std::map<std::string, std::string> types_;
};

} // namespace vethtrace::test
