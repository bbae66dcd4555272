// SPDX-License-Identifier: GPL-2.0-only
#include "export/pages.hpp"

#include "export/metrics_text.hpp"

namespace vethtrace {

namespace {

constexpr int unavailable = 503;
constexpr const char *plain_text = "text/plain; charset=utf-8";
constexpr const char *index_text = "<!doctype html>\n<html lang=\"en\"><title>vethtrace</title>\n"
                                   "<h1>vethtrace</h1>\n<p><a href=\"/metrics\">Metrics</a></p>\n"
                                   "<p><a href=\"/healthz\">Health</a></p>\n</html>\n";

HttpPage text_page(int status, std::string text) {
    return {status, plain_text, std::make_shared<const std::string>(std::move(text))};
}

} // namespace

void ExportPages::publish(std::string metrics, const std::optional<std::string> &trouble) {
    auto published = std::make_shared<const std::string>(std::move(metrics));
    std::scoped_lock lock(mutex_);
    metrics_ = std::move(published);
    published_ = std::chrono::steady_clock::now();
    trouble_ = trouble;
}

std::optional<HttpPage> ExportPages::page(const std::string &path) const {
    if (path == "/")
        return HttpPage{200, "text/html; charset=utf-8", std::make_shared<const std::string>(index_text)};
    if (path == "/healthz")
        return health();
    if (path != "/metrics")
        return std::nullopt;
    std::scoped_lock lock(mutex_);
    if (!metrics_)
        return text_page(unavailable, "there are no metrics yet\n");
    return HttpPage{200, metrics_content_type, metrics_};
}

HttpPage ExportPages::health() const {
    std::scoped_lock lock(mutex_);
    if (trouble_)
        return text_page(unavailable, *trouble_ + "\n");
    if (!metrics_ || std::chrono::steady_clock::now() - published_ > fresh_for_)
        return text_page(unavailable, "there are no metrics, or they are old\n");
    return text_page(200, "ok\n");
}

} // namespace vethtrace
