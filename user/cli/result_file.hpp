// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/error.hpp"

#include <string>

namespace vethtrace {

// Where -o puts a result. What was there before stays until the new result is there whole.
class ResultFile {
public:
    // Before the work begins, so that an hour of measuring does not end at a misspelt path. An empty path: none.
    [[nodiscard]] static Result<ResultFile> open(const std::string &path);
    ResultFile(ResultFile &&other) noexcept;
    ResultFile(const ResultFile &) = delete;
    ResultFile &operator=(const ResultFile &) = delete;
    ResultFile &operator=(ResultFile &&) = delete;
    // Removes a file that open() made and write() has not filled.
    ~ResultFile();

    Result<void> write(const std::string &text);

private:
    ResultFile() = default;
    [[nodiscard]] Result<void> replace(const std::string &text) const;

    std::string path_;
    bool is_new_ = false;
    bool is_regular_ = true;
};

} // namespace vethtrace
