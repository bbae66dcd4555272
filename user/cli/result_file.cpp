// SPDX-License-Identifier: GPL-2.0-only
#include "cli/result_file.hpp"

#include "core/fd.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace vethtrace {

namespace {

constexpr mode_t readable_by_all = 0644;

Result<void> write_all(const Fd &file, const std::string &text) {
    for (std::size_t written = 0; written < text.size();) {
        ssize_t more = ::write(file.get(), text.data() + written, text.size() - written);
        if (more < 0 && errno != EINTR)
            return fail_errno("", errno);
        written += more > 0 ? static_cast<std::size_t>(more) : 0;
    }
    return {};
}

} // namespace

Result<ResultFile> ResultFile::open(const std::string &path) {
    ResultFile result;
    if (path.empty())
        return result;
    std::error_code error;
    bool existed = std::filesystem::exists(path, error);
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, readable_by_all));
    if (!file)
        return fail_errno("-o " + path, errno, "name a file in a directory that you may write to");
    result.is_regular_ = std::filesystem::is_regular_file(path, error);
    result.is_new_ = !existed;
    // Through a symbolic link to the file that it means.
    result.path_ = result.is_regular_ ? std::filesystem::canonical(path, error).string() : path;
    return result;
}

ResultFile::ResultFile(ResultFile &&other) noexcept
    : path_(std::exchange(other.path_, {})), is_new_(std::exchange(other.is_new_, false)),
      is_regular_(other.is_regular_) {}

ResultFile::~ResultFile() {
    if (is_new_)
        unlink(path_.c_str());
}

Result<void> ResultFile::write(const std::string &text) {
    if (path_.empty())
        return {};
    Result<void> written = is_regular_ ? replace(text) : [&]() -> Result<void> {
        Fd file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
        return file ? write_all(file, text) : fail_errno("", errno);
    }();
    if (!written)
        return fail("-o " + path_, written.error().reason,
                    is_regular_ ? "what was in the file before is still there; the result is on standard output"
                                : "the result is on standard output");
    is_new_ = false;
    return {};
}

// Into a file of its own beside it, which then takes its name.
Result<void> ResultFile::replace(const std::string &text) const {
    std::string beside = path_ + ".XXXXXX";
    Fd file(mkostemp(beside.data(), O_CLOEXEC));
    if (!file)
        return fail_errno("", errno);
    struct stat old = {};
    mode_t mode = stat(path_.c_str(), &old) == 0 ? old.st_mode : readable_by_all;
    Result<void> written = write_all(file, text);
    if (written && (fchmod(file.get(), mode) != 0 || rename(beside.c_str(), path_.c_str()) != 0))
        written = fail_errno("", errno);
    if (!written)
        unlink(beside.c_str());
    return written;
}

} // namespace vethtrace
