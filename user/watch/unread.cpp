// SPDX-License-Identifier: GPL-2.0-only
#include "watch/unread.hpp"

#include "watch/bounded_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>

namespace vethtrace {

namespace {

// What stands behind the last colon, if there is one: "0100007F:1F90" is port 8080.
template<typename Number>
std::optional<Number> after_colon(std::string_view column) {
    constexpr int hexadecimal = 16;
    std::size_t colon = column.rfind(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    column.remove_prefix(colon + 1);
    Number value = 0;
    auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), value, hexadecimal);
    bool is_whole = error == std::errc() && end == column.data() + column.size() && !column.empty();
    return is_whole ? std::optional(value) : std::nullopt;
}

bool has_ended(unsigned state) {
    return state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING;
}

bool is_same(const SocketPorts &socket, const SocketPorts &asked) {
    bool is_connected = socket.protocol == IPPROTO_TCP || socket.peer_port != 0;
    return socket.protocol == asked.protocol && socket.local_port == asked.local_port &&
           (!is_connected || socket.peer_port == asked.peer_port);
}

} // namespace

std::vector<SocketLine> parse_sockets(std::string_view table, std::uint8_t protocol) {
    std::vector<SocketLine> sockets;
    while (!table.empty()) {
        // sl local_address rem_address st tx_queue:rx_queue ...; net/ipv4/tcp_ipv4.c, get_tcp4_sock
        std::size_t end = table.find('\n');
        std::string_view line = table.substr(0, end);
        if (end == std::string_view::npos)
            break; // cut off
        table.remove_prefix(end + 1);
        next_column(line);
        auto local = after_colon<std::uint16_t>(next_column(line));
        auto peer = after_colon<std::uint16_t>(next_column(line));
        auto state = after_colon<unsigned>(":" + std::string(next_column(line)));
        auto unread = after_colon<std::uint64_t>(next_column(line));
        if (!local || !peer || !state || !unread)
            continue; // the heading
        bool is_tcp = protocol == IPPROTO_TCP;
        if (is_tcp && *state == TCP_LISTEN)
            continue;
        if (is_tcp && has_ended(*state) && *unread > 0)
            --*unread;
        sockets.push_back({{protocol, *local, *peer}, *unread});
    }
    return sockets;
}

std::vector<std::uint64_t> unread_bytes(const std::vector<SocketLine> &sockets, std::span<const SocketPorts> asked) {
    std::vector<std::uint64_t> bytes;
    for (const SocketPorts &ports : asked) {
        std::uint64_t most = 0;
        for (const SocketLine &socket : sockets)
            if (is_same(socket.ports, ports))
                most = std::max(most, socket.unread);
        bytes.push_back(most);
    }
    return bytes;
}

std::optional<std::vector<std::optional<std::uint64_t>>> read_unread(const Roots &roots, const Target &target,
                                                                     std::span<const SocketPorts> asked) {
    constexpr std::size_t most_of_a_table = 1024UL * 1024; // some 7,000 sockets
    struct Table {
        const char *name;
        std::uint8_t protocol;
    };
    constexpr std::array<Table, 4> tables = {
        {{"tcp", IPPROTO_TCP}, {"tcp6", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"udp6", IPPROTO_UDP}}};
    std::filesystem::path process = roots.proc / std::to_string(target.pid);
    if (target.pid == 0 || namespace_inode(roots, process / "ns/net") != target.netns)
        return std::nullopt;
    std::vector<SocketLine> sockets;
    std::vector<std::uint8_t> cut; // protocols
    bool is_there = false;
    for (const Table &table : tables) {
        if (std::none_of(asked.begin(), asked.end(),
                         [&](const SocketPorts &ports) { return ports.protocol == table.protocol; }))
            continue;
        std::optional<BoundedText> text = read_bounded(process / "net" / table.name, most_of_a_table);
        if (!text)
            continue; // without IPv6
        is_there = true;
        if (!text->complete)
            cut.push_back(table.protocol);
        std::vector<SocketLine> more = parse_sockets(text->text, table.protocol);
        sockets.insert(sockets.end(), more.begin(), more.end());
    }
    if (!is_there && !asked.empty())
        return std::nullopt;
    std::vector<std::uint64_t> bytes = unread_bytes(sockets, asked);
    std::vector<std::optional<std::uint64_t>> all;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        bool is_listed = std::any_of(sockets.begin(), sockets.end(),
                                     [&](const SocketLine &socket) { return is_same(socket.ports, asked[i]); });
        bool is_cut = std::find(cut.begin(), cut.end(), asked[i].protocol) != cut.end();
        all.push_back(is_listed || !is_cut ? std::optional(bytes[i]) : std::nullopt);
    }
    return all;
}

} // namespace vethtrace
