// SPDX-License-Identifier: GPL-2.0-only
#include "cli/result_file.hpp"

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

Result<void> write_all(const Fd &file, std::string_view text) {
    for (std::size_t written = 0; written < text.size();) {
        ssize_t more = ::write(file.get(), text.data() + written, text.size() - written);
        if (more < 0 && errno != EINTR)
            return fail_errno("", errno);
        written += more > 0 ? static_cast<std::size_t>(more) : 0;
    }
    return {};
}

} // namespace

Result<ResultFile> ResultFile::open(const std::string &path, const std::string &option) {
    ResultFile result;
    if (path.empty())
        return result;
    std::error_code error;
    bool existed = std::filesystem::exists(path, error);
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, readable_by_all));
    if (!file)
        return fail_errno(option + " " + path, errno, "name a file in a directory that you may write to");
    result.option_ = option;
    result.is_regular_ = std::filesystem::is_regular_file(path, error);
    result.is_new_ = !existed;
    // Through a symbolic link to the file that it means.
    result.path_ = result.is_regular_ ? std::filesystem::canonical(path, error).string() : path;
    return result;
}

ResultFile::ResultFile(ResultFile &&other) noexcept
    : option_(std::move(other.option_)), path_(std::exchange(other.path_, {})),
      beside_(std::exchange(other.beside_, {})), file_(std::move(other.file_)),
      is_new_(std::exchange(other.is_new_, false)), is_regular_(other.is_regular_) {}

ResultFile::~ResultFile() {
    if (!beside_.empty())
        unlink(beside_.c_str());
    if (is_new_)
        unlink(path_.c_str());
}

Result<void> ResultFile::append(std::string_view text) {
    if (!is_wanted())
        return {};
    Result<void> written = begin().and_then([&] { return write_all(file_, text); });
    return written ? written : failed(written.error());
}

// Into a file of its own beside it. What is no regular file, as a pipe, is written at once.
Result<void> ResultFile::begin() {
    if (file_)
        return {};
    if (!is_regular_) {
        file_ = Fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
        return file_ ? Result<void>() : fail_errno("", errno);
    }
    std::string beside = path_ + ".XXXXXX";
    file_ = Fd(mkostemp(beside.data(), O_CLOEXEC));
    if (!file_)
        return fail_errno("", errno);
    beside_ = beside;
    return {};
}

Result<void> ResultFile::finish() {
    if (!is_wanted())
        return {};
    if (Result<void> begun = begin(); !begun)
        return failed(begun.error());
    if (is_regular_) {
        struct stat old = {};
        mode_t mode = stat(path_.c_str(), &old) == 0 ? old.st_mode : readable_by_all;
        if (fchmod(file_.get(), mode) != 0 || rename(beside_.c_str(), path_.c_str()) != 0)
            return failed(fail_errno("", errno).value());
        beside_.clear();
    }
    is_new_ = false;
    file_ = Fd();
    return {};
}

Result<void> ResultFile::write(std::string_view text) {
    return append(text).and_then([this] { return finish(); });
}

tl::unexpected<Error> ResultFile::failed(const Error &error) const {
    return fail(option_ + " " + path_, error.reason, is_regular_ ? "what was in the file before is still there" : "");
}

} // namespace vethtrace
