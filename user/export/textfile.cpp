// SPDX-License-Identifier: GPL-2.0-only
#include "export/textfile.hpp"

#include "core/fd.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vethtrace {

namespace {

std::string temporary_beside(const std::string &path) {
    return path + ".XXXXXX"; // not *.prom, so that the collector leaves it alone
}

Result<void> write_all(const std::string &name, const Fd &file, const std::string &text) {
    for (std::size_t written = 0; written < text.size();) {
        ssize_t some = ::write(file.get(), text.data() + written, text.size() - written);
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return fail_errno(name, errno);
        written += static_cast<std::size_t>(some);
    }
    return {};
}

} // namespace

Textfile::~Textfile() {
    if (written_)
        (void)unlink(path_.c_str());
}

Result<void> Textfile::try_to_write() const {
    std::string name = temporary_beside(path_);
    Fd file(mkostemp(name.data(), O_CLOEXEC));
    if (!file && errno != ENOSPC && errno != EDQUOT)
        return fail_errno(path_, errno, "its directory must exist, and belong to the user who runs this");
    if (file)
        (void)unlink(name.c_str());
    return {};
}

Result<void> Textfile::write(const std::string &text) {
    constexpr mode_t for_all_to_read = 0644;
    std::string name = temporary_beside(path_);
    Fd file(mkostemp(name.data(), O_CLOEXEC));
    if (!file)
        return fail_errno(path_, errno, "its directory must exist, and belong to the user who runs this");
    Result<void> done = write_all(path_, file, text);
    if (done && (fchmod(file.get(), for_all_to_read) != 0 || std::rename(name.c_str(), path_.c_str()) != 0))
        done = fail_errno(path_, errno);
    if (!done)
        (void)unlink(name.c_str());
    written_ = written_ || done;
    return done;
}

} // namespace vethtrace
