// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/error.hpp"

#include <bpf/libbpf.h>
#include <cerrno>
#include <fmt/format.h>
#include <span>
#include <sys/mman.h>
#include <unistd.h>

namespace vethtrace {

// The elements of a mappable array, shared with the kernel.
template<typename T>
class SharedArray {
public:
    SharedArray() = default;
    SharedArray(const SharedArray &) = delete;
    SharedArray &operator=(const SharedArray &) = delete;
    ~SharedArray() {
        if (!elements_.empty())
            munmap(elements_.data(), bytes(elements_.size()));
    }

    Result<void> map(const bpf_map *map) {
        static_assert(sizeof(T) % 8 == 0, "the kernel rounds an element up to 8 bytes");
        std::size_t count = bpf_map__max_entries(map);
        void *address = mmap(nullptr, bytes(count), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
        if (address == MAP_FAILED)
            return fail_errno(fmt::format("mapping of {}", bpf_map__name(map)), errno);
        elements_ = {static_cast<T *>(address), count};
        return {};
    }

    [[nodiscard]] std::span<T> elements() const { return elements_; }

private:
    static std::size_t bytes(std::size_t count) {
        auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        return (count * sizeof(T) + page - 1) / page * page;
    }

    std::span<T> elements_;
};

} // namespace vethtrace
