// SPDX-License-Identifier: GPL-2.0-only
//
// Metrics in a file for the textfile collector of node_exporter, which may read it at any time: it is replaced as a
// whole, and gone when there is nobody any more who keeps it up to date.
#pragma once

#include "core/error.hpp"

#include <string>

namespace vethtrace {

class Textfile {
public:
    explicit Textfile(std::string path) : path_(std::move(path)) {}
    Textfile(const Textfile &) = delete;
    Textfile &operator=(const Textfile &) = delete;
    // Removes the file, if it was written.
    ~Textfile();

    // If it fails, the file is as it was before.
    Result<void> write(const std::string &text);
    // Whether a file can be made there; it is not replaced.
    [[nodiscard]] Result<void> try_to_write() const;

private:
    std::string path_;
    bool written_ = false;
};

} // namespace vethtrace
