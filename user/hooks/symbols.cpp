// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/symbols.hpp"

#include "hooks/btf.hpp"

#include <algorithm>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <fstream>
#include <set>
#include <string>

namespace vethtrace {

namespace {

constexpr const char *list_of_symbols = "/proc/kallsyms";

// "ffffffff81dbaef0 t veth_xmit\t[veth]"
struct Line {
    char type = ' ';
    std::string_view symbol;
    std::string_view module;
};

Line split(std::string_view text) {
    Line line;
    std::size_t type = text.find(' ');
    if (type == std::string_view::npos || type + 3 > text.size())
        return line;
    line.type = text[type + 1];
    text.remove_prefix(type + 3);
    std::size_t end = text.find('\t');
    line.symbol = text.substr(0, end);
    if (end != std::string_view::npos && text.size() > end + 3)
        line.module = text.substr(end + 2, text.size() - end - 3); // without its brackets
    return line;
}

// What the compiler puts behind the name of a function that it has changed. Not a function are the parts that it has
// taken out of one: ".cold" holds what hardly ever happens, ".part.0" what is not inlined of it.
bool is_name_of(std::string_view symbol, std::string_view name) {
    if (symbol.substr(0, name.size()) != name)
        return false;
    std::string_view suffix = symbol.substr(name.size());
    return suffix.empty() || suffix.rfind(".constprop.", 0) == 0 || suffix.rfind(".isra.", 0) == 0;
}

Result<void> read_symbols(std::span<const std::string_view> functions, std::span<const std::string_view> tracepoints,
                          KernelNames &names) {
    std::ifstream file(list_of_symbols);
    bool any = false;
    constexpr std::string_view tracepoint_prefix = "__traceiter_";
    for (std::string text; std::getline(file, text);) {
        Line line = split(text);
        if (line.type != 't' && line.type != 'T' && line.type != 'w' && line.type != 'W')
            continue;
        any = true;
        std::string_view base = line.symbol.substr(0, line.symbol.find('.'));
        auto wanted = std::lower_bound(functions.begin(), functions.end(), base);
        if (wanted != functions.end() && *wanted == base && is_name_of(line.symbol, base)) {
            auto [known, is_new] = names.symbols.emplace(base, KernelSymbol{});
            if (is_new || line.symbol == base) // the plain one, if there are several
                known->second = {std::string(line.symbol), std::string(line.module)};
        }
        if (base.rfind(tracepoint_prefix, 0) == 0)
            for (std::string_view tracepoint : tracepoints)
                if (base.substr(tracepoint_prefix.size()) == tracepoint)
                    names.tracepoints.emplace(tracepoint);
    }
    if (!any)
        return fail(list_of_symbols, "names no functions of this kernel",
                    "it takes a kernel with CONFIG_KALLSYMS, and /proc");
    return {};
}

void read_types(const btf *types, std::span<const std::string_view> functions,
                std::span<const std::string_view> tracepoints, KernelNames &names) {
    for (std::string_view function : functions)
        if (btf__find_by_name_kind(types, std::string(function).c_str(), BTF_KIND_FUNC) > 0)
            names.in_btf.emplace(function);
    for (std::string_view tracepoint : tracepoints)
        if (btf__find_by_name_kind(types, fmt::format("btf_trace_{}", tracepoint).c_str(), BTF_KIND_TYPEDEF) > 0)
            names.tracepoints.emplace(tracepoint);
}

} // namespace

Result<KernelNames> look_up(std::span<const std::string_view> functions,
                            std::span<const std::string_view> tracepoints) {
    std::vector<std::string_view> sorted(functions.begin(), functions.end());
    std::sort(sorted.begin(), sorted.end());
    KernelNames names;
    if (Result<void> read = read_symbols(sorted, tracepoints, names); !read)
        return tl::unexpected(read.error());
    libbpf_set_print(nullptr); // it would explain itself on stderr
    // Without its types a kernel still has its symbols.
    Btf kernel(btf__load_vmlinux_btf());
    if (!kernel)
        return names;
    read_types(kernel.get(), functions, tracepoints, names);
    std::set<std::string> modules;
    for (const auto &[name, symbol] : names.symbols)
        if (!symbol.module.empty())
            modules.insert(symbol.module);
    for (const std::string &module : modules) { // which have BTF of their own since 5.11
        Btf types(btf__parse_split(("/sys/kernel/btf/" + module).c_str(), kernel.get()));
        if (types)
            read_types(types.get(), functions, {}, names);
    }
    return names;
}

} // namespace vethtrace
