// SPDX-License-Identifier: GPL-2.0-only
#include "watch/selection.hpp"

#include "watch/near.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <poll.h>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

namespace vethtrace {

namespace {

bool has_id(const Candidate &candidate, std::string_view word) {
    constexpr std::size_t least = 4;
    return word.size() >= least && std::any_of(candidate.ids.begin(), candidate.ids.end(),
                                               [&](const ContainerId &id) { return id.id.starts_with(word); });
}

bool is_container(const Candidate &candidate, const std::string &word) {
    bool named = std::find(candidate.names.begin(), candidate.names.end(), word) != candidate.names.end();
    return candidate.target.kind == TargetKind::container && (named || has_id(candidate, word));
}

bool is_number(std::string_view word) {
    return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_pod(const Candidate &candidate, const std::string &word) {
    return candidate.target.pod == word || candidate.target.pod.ends_with("/" + word);
}

std::string text_of(const NetnsTarget &netns) {
    if (const auto *name = std::get_if<NetnsName>(&netns))
        return name->name;
    if (const auto *process = std::get_if<NetnsOfProcess>(&netns))
        return std::to_string(process->pid);
    if (const auto *path = std::get_if<NetnsPath>(&netns))
        return path->path;
    return fmt::format("inode:{}", std::get<NetnsInode>(netns).inode);
}

Fd open_process(pid_t pid) {
    return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool has_ended(const Fd &process) {
    pollfd ended = {process.get(), POLLIN, 0};
    return !process || poll(&ended, 1, 0) != 0;
}

std::string text_of(const Candidate &candidate) {
    const Target &target = candidate.target;
    return fmt::format("{} ({}, {})", target.name, target.runtime.empty() ? "netns" : target.runtime,
                       target.container_id.empty() ? fmt::format("inode:{}", target.netns)
                                                   : short_id(target.container_id));
}

} // namespace

tl::unexpected<Error> no_match(const std::string &object, std::string_view word, std::vector<std::string> names) {
    std::vector<std::string> near = near_matches(word, std::move(names));
    std::string hint = near.empty() ? "`vethtrace watch --all` shows what there is; what has no name here can be given "
                                      "as --pid PID or --netns NAME|PATH"
                                    : fmt::format("did you mean {}?", fmt::join(near, ", "));
    return tl::unexpected(Error{object, "fits nothing that is here", std::move(hint), Exit::usage});
}

struct Chooser::Wanted {
    std::string object;
    std::string word;
    bool just_one;
    std::function<bool(const Candidate &)> fits;
    std::function<std::vector<std::string>(const Candidate &)> names; // what `word` might have meant
};

Chooser::Chooser(const Selection &selection, Roots roots, std::uint32_t host)
    : selection_(selection), roots_(std::move(roots)), host_(host) {
    auto add = [&](const NetnsTarget &netns, const char *option) {
        const auto *process = std::get_if<NetnsOfProcess>(&netns);
        netns_.push_back({netns, fmt::format("{} {}", option, text_of(netns)),
                          process == nullptr ? Fd() : open_process(process->pid)});
    };
    for (const NetnsTarget &netns : selection.netns)
        add(netns, "--netns");
    for (pid_t pid : selection.pids)
        add(NetnsOfProcess{pid}, "--pid");
}

// Empty: it is asked for by its number, or its process has ended.
std::filesystem::path Chooser::path_of(const AskedNetns &asked) const {
    if (const auto *name = std::get_if<NetnsName>(&asked.netns))
        return roots_.run / "netns" / name->name;
    if (const auto *process = std::get_if<NetnsOfProcess>(&asked.netns))
        return has_ended(asked.process) ? std::filesystem::path()
                                        : roots_.proc / std::to_string(process->pid) / "ns/net";
    if (const auto *path = std::get_if<NetnsPath>(&asked.netns))
        return path->path;
    return {};
}

// 0: there is none.
std::uint64_t Chooser::inode_of(const AskedNetns &asked) const {
    if (const auto *inode = std::get_if<NetnsInode>(&asked.netns))
        return inode->inode;
    return namespace_inode(roots_, path_of(asked));
}

void Chooser::add_asked(std::map<std::uint32_t, Namespace> &namespaces) const {
    for (const AskedNetns &asked : netns_) {
        std::filesystem::path path = path_of(asked);
        std::uint32_t inode = namespace_inode(roots_, path);
        if (inode == 0 || inode == host_)
            continue;
        if (Namespace &netns = namespaces[inode]; netns.path.empty())
            netns.path = path;
    }
}

std::vector<Chooser::Wanted> Chooser::wanted() const {
    std::vector<Wanted> all;
    auto names = [](const Candidate &candidate) { return candidate.names; };
    auto name = [](const Candidate &candidate) { return std::vector<std::string>{candidate.target.name}; };
    auto pod = [](const Candidate &candidate) { return std::vector<std::string>{candidate.target.pod}; };
    for (const std::string &word : selection_.containers)
        all.push_back({"--container " + word, word, true,
                       [&word](const Candidate &candidate) { return is_container(candidate, word); }, names});
    for (const std::string &word : selection_.pods)
        all.push_back({"--pod " + word, word, false,
                       [&word](const Candidate &candidate) { return is_pod(candidate, word); }, pod});
    for (const AskedNetns &asked : netns_)
        all.push_back(
            {asked.object, text_of(asked.netns), false,
             [inode = inode_of(asked)](const Candidate &candidate) { return candidate.target.netns == inode; }, name});
    return all;
}

Result<void> Chooser::check_netns() const {
    for (const AskedNetns &asked : netns_) {
        std::error_code none;
        std::filesystem::path path = path_of(asked);
        if (std::filesystem::exists(path, none) && !is_network_namespace(roots_, path))
            return tl::unexpected(Error{asked.object, "is no network namespace",
                                        "it looks like /proc/PID/ns/net or /run/netns/NAME", Exit::usage});
        if (inode_of(asked) == host_)
            return tl::unexpected(Error{asked.object, "is the host's own namespace",
                                        "-I INTERFACE watches the host's own traffic", Exit::usage});
    }
    return {};
}

Result<void> Chooser::check(const Wanted &one, const std::vector<const Candidate *> &fitting,
                            const std::vector<Candidate> &all) const {
    if (fitting.empty()) {
        Candidate host;
        host.target.kind = TargetKind::container;
        host.target.netns = host_;
        std::map<std::uint32_t, Namespace> everywhere = find_namespaces(roots_, {});
        host.ids = everywhere[host_].containers;
        if (one.fits(host))
            return tl::unexpected(Error{one.object, "has the host's own network, not one of its own",
                                        "-I INTERFACE watches the host's own traffic", Exit::usage});
        if (one.just_one && is_number(one.word)) // somebody may mean a process by it
            if (std::uint32_t inode = namespace_inode(roots_, roots_.proc / one.word / "ns/net"); inode != 0)
                return tl::unexpected(inode == host_
                                          ? Error{one.object, "is the number of a process in the host's own namespace",
                                                  "-I INTERFACE watches the host's own traffic", Exit::usage}
                                          : Error{one.object, "fits no container, but is the number of a process",
                                                  fmt::format("--pid {} watches its network namespace", one.word),
                                                  Exit::usage});
        std::vector<std::string> known;
        for (const Candidate &candidate : all) {
            std::vector<std::string> names = one.names(candidate);
            known.insert(known.end(), names.begin(), names.end());
        }
        return no_match(one.object, one.word, std::move(known));
    }
    if (!one.just_one || fitting.size() == 1)
        return {};
    std::vector<std::string> names(fitting.size());
    std::transform(fitting.begin(), fitting.end(), names.begin(),
                   [](const Candidate *candidate) { return text_of(*candidate); });
    return tl::unexpected(Error{one.object, fmt::format("fits {} containers: {}", names.size(), fmt::join(names, ", ")),
                                "an identifier, or more of it, tells them apart", Exit::usage});
}

Result<std::vector<Target>> Chooser::choose(const std::vector<Candidate> &all) {
    bool first = std::exchange(first_, false);
    if (Result<void> right = first ? check_netns() : Result<void>(); !right)
        return tl::unexpected(right.error());
    std::vector<Target> chosen;
    std::set<std::uint32_t> taken;
    auto take = [&](const Candidate &candidate) {
        if (taken.insert(candidate.target.netns).second)
            chosen.push_back(candidate.target);
    };
    if (selection_.all)
        std::for_each(all.begin(), all.end(), take);
    for (const Wanted &one : wanted()) {
        std::vector<const Candidate *> fitting;
        for (const Candidate &candidate : all)
            if (one.fits(candidate))
                fitting.push_back(&candidate);
        if (Result<void> right = first ? check(one, fitting, all) : Result<void>(); !right)
            return tl::unexpected(right.error());
        for (const Candidate *candidate : fitting)
            take(*candidate);
    }
    return chosen;
}

} // namespace vethtrace
