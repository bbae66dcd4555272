// SPDX-License-Identifier: GPL-2.0-only
#include "lab/kept.hpp"

#include "lab/lab.hpp"
#include "lab/ownership.hpp"
#include "netns/netns.hpp"

#include <csignal>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

namespace vethtrace {

namespace {

std::vector<std::string> kept_namespaces() {
    return Netns::list(kept_lab_name + "-");
}

} // namespace

Result<std::string> keep_lab(Mode mode) {
    if (!kept_namespaces().empty())
        return fail("the lab", "is up already", "`vethtrace lab down` removes it");
    Result<std::unique_ptr<Lab>> lab = Ownership::take_named(kept_lab_name).and_then([&](Ownership owner) {
        return Lab::build(mode, Topology::wire, std::move(owner));
    });
    if (!lab)
        return tl::unexpected(lab.error());
    (*lab)->keep();
    std::string text =
        fmt::format("The lab of mode {} is up; the server's address is {}.\n", name_of(mode), (*lab)->server_address());
    for (const std::string &name : kept_namespaces())
        text += fmt::format("  {}\n", name);
    return text + "Look around with `vethtrace lab exec container COMMAND`, remove it with `vethtrace lab down`.\n";
}

Result<void> remove_kept_lab() {
    if (kept_namespaces().empty())
        return fail("the lab", "is not up", "`vethtrace lab up` builds one");
    for (const std::string &name : kept_namespaces())
        if (Result<void> removed = Netns::remove(name); !removed)
            return removed;
    return {};
}

Error execute_in_kept_lab(const std::string &part, const std::vector<std::string> &command_line) {
    Result<Netns> netns = Netns::open(namespace_name(kept_lab_name, part));
    if (!netns)
        return fail(part, "the kept lab has no such namespace",
                    "`vethtrace lab up` builds one; mode host has no container")
            .value();
    if (setns(netns->fd(), CLONE_NEWNET) != 0)
        return fail_errno(netns->name(), errno).value();
    std::vector<char *> arguments;
    arguments.reserve(command_line.size() + 1);
    for (const std::string &word : command_line)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    std::signal(SIGPIPE, SIG_DFL); // what we ignore, the command need not
    execvp(arguments.front(), arguments.data());
    return fail_errno(command_line.front(), errno).value();
}

} // namespace vethtrace
