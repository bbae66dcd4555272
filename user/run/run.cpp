// SPDX-License-Identifier: GPL-2.0-only
#include "run/run.hpp"

#include "run/measurement.hpp"

#include <fmt/format.h>

namespace vethtrace {

namespace {

Result<void> measure(Measurement &run, const RunOptions &options, const std::atomic<bool> &stop,
                     const Progress &progress) {
    if (options.max_overhead) {
        progress("trying what tracing costs");
        if (Result<void> chosen = run.choose_sample(); !chosen)
            return chosen;
    }
    std::uint64_t slices = run.slices();
    Result<void> done = run.run_untraced(0);
    for (std::uint64_t slice = 0; slice < slices && done && !stop; ++slice) {
        progress(fmt::format("tracing, slice {} of {}", slice + 1, slices));
        done = run.run_traced(slice);
        if (done)
            done = run.run_untraced(slice + 1);
    }
    return done;
}

} // namespace

Result<RunResult> run_lab(const RunOptions &options, const std::atomic<bool> &stop, const Progress &progress) {
    Result<std::unique_ptr<Measurement>> run = Measurement::begin(options, stop, progress);
    if (!run)
        return tl::unexpected(run.error());
    if (Result<void> measured = measure(**run, options, stop, progress); !measured)
        return tl::unexpected(measured.error());
    RunResult result = (*run)->finish();
    result.interrupted = stop;
    return result;
}

} // namespace vethtrace
