// SPDX-License-Identifier: GPL-2.0-only
#include "watch/interfaces.hpp"

#include "core/fd.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <memory>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <set>

namespace vethtrace {

namespace {

template<auto put>
struct Put {
    template<typename T>
    void operator()(T *object) const {
        put(object);
    }
};
using Socket = std::unique_ptr<nl_sock, Put<nl_socket_free>>;
using Cache = std::unique_ptr<nl_cache, Put<nl_cache_free>>;
using Message = std::unique_ptr<nl_msg, Put<nlmsg_free>>;

Result<Socket> connect() {
    Socket socket(nl_socket_alloc());
    if (!socket)
        return fail("netlink", "there is no memory for a socket");
    if (int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0)
        return fail("netlink", nl_geterror(code));
    return socket;
}

Interface to_interface(rtnl_link *link) {
    Interface found;
    found.ifindex = rtnl_link_get_ifindex(link);
    found.name = rtnl_link_get_name(link);
    const char *kind = rtnl_link_get_type(link);
    found.kind = kind == nullptr ? "" : kind;
    found.link = rtnl_link_get_link(link);
    std::int32_t number = -1;
    if (rtnl_link_get_link_netnsid(link, &number) == 0)
        found.link_netns = number;
    found.master = rtnl_link_get_master(link);
    found.is_up = (rtnl_link_get_flags(link) & IFF_UP) != 0;
    found.is_loopback = (rtnl_link_get_flags(link) & IFF_LOOPBACK) != 0;
    std::uint16_t mode = 0;
    if (rtnl_link_is_ipvlan(link) != 0 && rtnl_link_ipvlan_get_mode(link, &mode) == 0)
        found.ipvlan_mode = mode;
    return found;
}

template<typename Object, typename Each>
void each_of(nl_cache *cache, Each each) {
    for (nl_object *object = nl_cache_get_first(cache); object != nullptr; object = nl_cache_get_next(object))
        each(reinterpret_cast<Object *>(object));
}

Result<Fd> open_namespace(const std::filesystem::path &path) {
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return fail_errno(path.string(), errno);
    return file;
}

// Takes the answer to RTM_GETNSID, which libnl has no type for.
int take_number(nl_msg *message, void *number) {
    constexpr int attributes = NETNSA_MAX;
    std::array<nlattr *, attributes + 1> found = {};
    if (nlmsg_parse(nlmsg_hdr(message), sizeof(rtgenmsg), found.data(), attributes, nullptr) == 0 &&
        found[NETNSA_NSID] != nullptr)
        *static_cast<int *>(number) = static_cast<int>(nla_get_u32(found[NETNSA_NSID]));
    return NL_OK;
}

// Of the interfaces of the calling thread's namespace.
std::vector<IpAddress> read_addresses() {
    std::vector<IpAddress> found;
    Result<Socket> socket = connect();
    nl_cache *dump = nullptr;
    if (!socket || rtnl_addr_alloc_cache(socket->get(), &dump) < 0)
        return found;
    Cache cache(dump);
    each_of<rtnl_addr>(cache.get(), [&](rtnl_addr *address) {
        nl_addr *local = rtnl_addr_get_local(address);
        int scope = rtnl_addr_get_scope(address);
        if (local == nullptr || scope == RT_SCOPE_HOST || scope == RT_SCOPE_LINK)
            return;
        IpAddress one;
        one.family = nl_addr_get_family(local) == AF_INET ? 4 : 6;
        std::memcpy(one.bytes.data(), nl_addr_get_binary_addr(local),
                    std::min<std::size_t>(nl_addr_get_len(local), one.bytes.size()));
        found.push_back(one);
    });
    std::sort(found.begin(), found.end());
    return found;
}

// Which of the others the interfaces' links lead to.
std::map<int, std::uint32_t> find_namespaces_of_links(const std::vector<Interface> &interfaces,
                                                      std::span<const NetnsFile> others) {
    std::set<int> open;
    for (const Interface &interface : interfaces)
        if (interface.link_netns != -1)
            open.insert(interface.link_netns);
    std::map<int, std::uint32_t> found;
    for (const NetnsFile &other : others) {
        if (open.empty())
            break;
        if (std::optional<int> number = number_of_namespace(other.path); number && open.erase(*number) != 0)
            found[*number] = other.inode;
    }
    return found;
}

} // namespace

Result<std::vector<Interface>> read_interfaces() {
    Result<Socket> socket = connect();
    if (!socket)
        return tl::unexpected(socket.error());
    nl_cache *dump = nullptr;
    if (int code = rtnl_link_alloc_cache(socket->get(), AF_UNSPEC, &dump); code < 0)
        return fail("list of interfaces", nl_geterror(code));
    Cache cache(dump);
    std::vector<Interface> all;
    each_of<rtnl_link>(cache.get(), [&](rtnl_link *link) { all.push_back(to_interface(link)); });
    return all;
}

Result<InNamespace> enter_namespace(const std::filesystem::path &netns) {
    return open_namespace(netns).and_then([](const Fd &file) { return InNamespace::enter(file.get()); });
}

Result<NetnsContents> visit_netns(const std::filesystem::path &netns, std::span<const NetnsFile> others) {
    return enter_namespace(netns).and_then([&](const InNamespace &) -> Result<NetnsContents> {
        Result<std::vector<Interface>> interfaces = read_interfaces();
        if (!interfaces)
            return tl::unexpected(interfaces.error());
        NetnsContents contents{std::move(*interfaces), read_addresses(), interfaces_with_default_route()};
        // After the list: it is the list that gives numbers to namespaces which had none.
        contents.links_lead_to = find_namespaces_of_links(contents.interfaces, others);
        return contents;
    });
}

std::optional<int> number_of_namespace(const std::filesystem::path &netns) {
    Result<Socket> socket = connect();
    Result<Fd> file = open_namespace(netns);
    if (!socket || !file)
        return std::nullopt;
    Message message(nlmsg_alloc_simple(RTM_GETNSID, 0));
    rtgenmsg header = {};
    header.rtgen_family = AF_UNSPEC;
    int number = NETNSA_NSID_NOT_ASSIGNED;
    nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO);
    nla_put_u32(message.get(), NETNSA_FD, static_cast<std::uint32_t>(file->get()));
    nl_socket_modify_cb(socket->get(), NL_CB_VALID, NL_CB_CUSTOM, take_number, &number);
    if (nl_send_auto(socket->get(), message.get()) < 0 || nl_recvmsgs_default(socket->get()) < 0 || number < 0)
        return std::nullopt;
    return number;
}

std::vector<int> interfaces_with_default_route() {
    std::vector<int> found;
    Result<Socket> socket = connect();
    nl_cache *dump = nullptr;
    if (!socket || rtnl_route_alloc_cache(socket->get(), AF_UNSPEC, 0, &dump) < 0)
        return found;
    Cache cache(dump);
    each_of<rtnl_route>(cache.get(), [&](rtnl_route *route) {
        nl_addr *destination = rtnl_route_get_dst(route);
        bool is_default = destination == nullptr || nl_addr_get_prefixlen(destination) == 0;
        if (!is_default || rtnl_route_get_table(route) != RT_TABLE_MAIN)
            return;
        for (int i = 0; i < rtnl_route_get_nnexthops(route); ++i)
            found.push_back(rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, i)));
    });
    return found;
}

} // namespace vethtrace
