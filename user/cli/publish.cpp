// SPDX-License-Identifier: GPL-2.0-only
#include "cli/publish.hpp"

#include <cerrno>
#include <cstdio>

namespace vethtrace {

Result<void> print(const std::string &text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        return fail_errno("standard output", errno, "with -o FILE the result goes to a file as well");
    return {};
}

Result<Publication> Publication::open(const OutputOptions &output) {
    Result<ResultFile> json = ResultFile::open(output.file);
    if (!json)
        return tl::unexpected(json.error());
    return ResultFile::open(output.html, "--html").map([&](ResultFile page) {
        return Publication(output, std::move(*json), std::move(page));
    });
}

// Whatever becomes of one, the others are not lost.
Result<void> Publication::publish(const Shown &result) {
    Result<void> written = write(result).map_error([](Error error) {
        error.hint += error.hint.empty() ? "" : "; ";
        error.hint += "the result is on standard output";
        return error;
    });
    Result<void> printed =
        print(output_.json ? to_text(result.json(), output_.pretty) + "\n" : result.text(style_of_stdout(output_)));
    return written ? printed : written;
}

Result<void> Publication::write(const Shown &result) {
    Result<void> stored =
        json_.is_wanted() ? json_.write(to_text(result.json(), output_.pretty) + "\n") : Result<void>();
    Result<void> drawn = page_.is_wanted() ? page_.write(result.page()) : Result<void>();
    return stored ? drawn : stored;
}

} // namespace vethtrace
