// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"

#include <string>
#include <string_view>

namespace vethtrace {

// Where an option puts a result. What was there before stays until the new result is there whole.
class ResultFile {
public:
    // Before the work begins, so that an hour of measuring does not end at a misspelt path. An empty path: none, and
    // all that is written is for nobody.
    [[nodiscard]] static Result<ResultFile> open(const std::string &path, const std::string &option = "-o");
    ResultFile(ResultFile &&other) noexcept;
    ResultFile(const ResultFile &) = delete;
    ResultFile &operator=(const ResultFile &) = delete;
    ResultFile &operator=(ResultFile &&) = delete;
    // Removes a file that open() made and finish() has not filled, and what was appended in vain.
    ~ResultFile();

    [[nodiscard]] bool is_wanted() const { return !path_.empty(); }
    // Piece by piece, and in the end finish() ...
    [[nodiscard]] Result<void> append(std::string_view text);
    [[nodiscard]] Result<void> finish();
    // ... or all at once.
    [[nodiscard]] Result<void> write(std::string_view text);

private:
    ResultFile() = default;
    [[nodiscard]] Result<void> begin();
    [[nodiscard]] tl::unexpected<Error> failed(const Error &error) const;

    std::string option_;
    std::string path_;
    std::string beside_; // a file of its own, which takes the name in the end; empty: none yet
    Fd file_;
    bool is_new_ = false;
    bool is_regular_ = true;
};

} // namespace vethtrace
