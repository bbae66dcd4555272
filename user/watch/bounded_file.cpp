// SPDX-License-Identifier: GPL-2.0-only
#include "watch/bounded_file.hpp"

#include "core/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vethtrace {

std::optional<BoundedText> read_bounded(const std::filesystem::path &path, std::size_t most_bytes) {
    constexpr std::size_t step = 16UL * 1024; // files of /proc do not tell their size
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status = {};
    if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return std::nullopt;
    BoundedText read;
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

std::string whole_text_of(const std::filesystem::path &path) {
    constexpr std::size_t most = std::size_t{32} << 20;
    std::optional<BoundedText> read = read_bounded(path, most);
    return read && read->complete ? std::move(read->text) : "";
}

std::string_view next_column(std::string_view &line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    std::string_view column = line.substr(0, end);
    line.remove_prefix(end);
    return column;
}

std::string unescaped(std::string_view text, std::string_view introducer, std::size_t digits, int base) {
    std::string plain;
    while (!text.empty()) {
        const char *first = text.data() + introducer.size();
        unsigned code = 0;
        if (text.starts_with(introducer) && text.size() >= introducer.size() + digits &&
            std::from_chars(first, first + digits, code, base).ptr == first + digits) {
            plain += static_cast<char>(code);
            text.remove_prefix(introducer.size() + digits);
        } else {
            plain += text.front();
            text.remove_prefix(1);
        }
    }
    return plain;
}

} // namespace vethtrace
