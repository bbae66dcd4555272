// SPDX-License-Identifier: GPL-2.0-only
#include "watch/proc_file.hpp"

#include "core/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace vethtrace {

std::optional<ProcText> read_proc_file(const std::filesystem::path &path, std::size_t most_bytes) {
    constexpr std::size_t step = 16UL * 1024;
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return std::nullopt;
    ProcText read;
    std::size_t length = 0;
    while (length < most_bytes) {
        read.text.resize(std::min(length + step, most_bytes));
        ssize_t got = ::read(file.get(), read.text.data() + length, read.text.size() - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return std::nullopt;
        if (got == 0) {
            read.text.resize(length);
            return read;
        }
        length += static_cast<std::size_t>(got);
    }
    // The bound may be the very end of the file.
    char next = 0;
    read.complete = ::read(file.get(), &next, 1) == 0;
    read.text.resize(length);
    return read;
}

std::string_view next_column(std::string_view &line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    std::string_view column = line.substr(0, end);
    line.remove_prefix(end);
    return column;
}

} // namespace vethtrace
