// SPDX-License-Identifier: GPL-2.0-only
//
// What the exporter shows: /metrics as of the last window, /healthz, and a page that leads there. Any number of clients
// get the same text, so that none of them costs the watcher anything.
#pragma once

#include "export/http_server.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace vethtrace {

class ExportPages {
public:
    // Metrics that are older are no sign of health.
    explicit ExportPages(std::chrono::nanoseconds fresh_for) : fresh_for_(fresh_for) {}

    void publish(std::string metrics, const std::optional<std::string> &trouble);

    // By any thread.
    [[nodiscard]] std::optional<HttpPage> page(const std::string &path) const;

private:
    [[nodiscard]] HttpPage health() const;

    std::chrono::nanoseconds fresh_for_;
    mutable std::mutex mutex_;
    std::shared_ptr<const std::string> metrics_;
    std::chrono::steady_clock::time_point published_;
    std::optional<std::string> trouble_;
};

} // namespace vethtrace
