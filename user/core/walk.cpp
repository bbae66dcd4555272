// SPDX-License-Identifier: GPL-2.0-only
#include "core/walk.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

using namespace layout;

using Names = std::vector<std::string_view>;

// Something that the kernel calls by a pointer or from another file, so that it is a symbol wherever it exists.
Call call(std::string_view name) {
    return {{name}};
}

Call either(std::string_view newer, std::string_view older) {
    return {{newer, older}};
}

// A static function, which the compiler may have put into its caller.
Call inlinable(std::string_view name, Names into) {
    return {{name}, std::move(into)};
}

Call netif_rx_internal() {
    return inlinable("netif_rx_internal", {"__netif_rx", "netif_rx"});
}

Call netif_receive_skb_core() {
    return inlinable("__netif_receive_skb_core",
                     {"__netif_receive_skb_one_core", "__netif_receive_skb", "process_backlog"});
}

Call ip_finish_output2() {
    return inlinable("ip_finish_output2", {"__ip_finish_output", "ip_finish_output", "ip_output"});
}

void append(std::vector<Call> &calls, std::vector<Call> more) {
    std::move(more.begin(), more.end(), std::back_inserter(calls));
}

// Who took the packet up last.
enum class Taker {
    nobody, // it is still in the hands of the sender
    poll,   // the NAPI poll of a driver
    backlog,
};

// Writes the passage of one hop.
class Writer {
public:
    Writer(const Way &way, const HopName &hop, Taker taker) : way_(way), taker_(taker) { out_.hop = hop; }

    Passage write() {
        set_place();
        set_tracepoints();
        switch (out_.hop.stage) {
        case Stage::socket_tx:
            socket_tx();
            break;
        case Stage::qdisc:
        case Stage::uplink_qdisc:
        case Stage::peer_qdisc:
            queue();
            break;
        case Stage::device_xmit:
        case Stage::wire:
            transmit();
            break;
        case Stage::backlog:
            if (is_at(out_.hop.to, POINT_GRO))
                poll();
            else
                backlog();
            break;
        case Stage::gro:
            gro();
            break;
        case Stage::bridge:
            bridge();
            break;
        case Stage::host_forward:
            host_forward();
            break;
        case Stage::stack_rx:
            stack_rx();
            break;
        case Stage::wakeup:
            wakeup();
            break;
        case Stage::application:
            application();
            break;
        case Stage::segments:
        case Stage::encap: // the lab has no tunnels
        case Stage::decap:
        case Stage::unforeseen:
            out_.what = description_of(out_.hop.stage);
            break;
        }
        return std::move(out_);
    }

private:
    static bool is_at(Station station, point point) { return is_at_device(station) && point_of(station) == point; }
    static bool is_at(Station station, point point, role role) {
        return is_at(station, point) && role_of(station) == role;
    }

    // GRO hands on what it has as a list.
    [[nodiscard]] Call ip_rcv() const { return call(taker_ == Taker::poll ? "ip_list_rcv" : "ip_rcv"); }

    // Whose end a moment of the application is at.
    static end end_of(Station moment) { return static_cast<end>((moment.id - FIRST_END_STATION) / MOMENTS); }

    [[nodiscard]] bool in_process() const { return taker_ == Taker::nobody; }

    [[nodiscard]] std::string netns_of(role role) const {
        if (role == ROLE_CONTAINER || role == ROLE_PEER)
            return std::string(name_of(role));
        return "host";
    }

    [[nodiscard]] std::string netns_of(end end) const {
        if (end == END_SERVER)
            return "peer";
        return way_.mode() == Mode::host ? "host" : "container";
    }

    [[nodiscard]] std::string device_of(end end) const {
        if (end == END_SERVER)
            return "peer";
        return way_.mode() == Mode::host ? "uplink" : "container";
    }

    // Where a hop begins is where its work is done, but for the moments of an application.
    void set_place() {
        const HopName &hop = out_.hop;
        if (is_at_device(hop.from)) {
            out_.netns = netns_of(role_of(hop.from));
            out_.device = name_of(role_of(hop.from));
        } else {
            out_.netns = netns_of(end_of(hop.from));
            out_.device = is_at_device(hop.to) ? device_of(end_of(hop.from)) : "";
        }
        bool from_client = hop.direction == Direction::request;
        out_.context = in_process() ? fmt::format("process: the {}, which is still in send(), on its CPU",
                                                  from_client ? "client" : "server")
                                    : "softirq: the NET_RX run of the step before, on its CPU";
    }

    // Of a hop that the sender's own call of send() does.
    void in_sender() {
        out_.context = fmt::format("process: the {}, in send(), on its CPU",
                                   out_.hop.direction == Direction::request ? "client" : "server");
    }

    void set_tracepoints() {
        Station to = out_.hop.to;
        if (!is_at_device(to)) {
            std::uint32_t moment = (to.id - FIRST_END_STATION) % MOMENTS;
            if (moment == MOMENT_DATA_READY)
                out_.tracepoints = {"sk_data_ready"};
            if (moment == MOMENT_TCP_RCV)
                out_.tracepoints = {"tcp_probe"};
            return;
        }
        constexpr std::array<std::string_view, POINTS> names = {"net_dev_queue", "net_dev_start_xmit", "netif_rx",
                                                                "napi_gro_receive_entry", "netif_receive_skb"};
        out_.tracepoints = {names.at(point_of(to))};
    }

    void socket_tx() {
        in_sender();
        out_.what =
            fmt::format("TCP copies the data of send() into a packet, and IP gives it its header, its route and "
                        "its neighbour. The packet is then handed to the device {}.",
                        out_.device);
        out_.calls = {call("tcp_sendmsg"),     call("tcp_sendmsg_locked"),
                      call("tcp_write_xmit"),  inlinable("__tcp_transmit_skb", {"tcp_write_xmit"}),
                      call("__ip_queue_xmit"), call("ip_output"),
                      ip_finish_output2(),     call("__dev_queue_xmit")};
        if (way_.mode() == Mode::host && out_.hop.direction == Direction::request)
            out_.netfilter = {"output", "postrouting"};
    }

    void queue() {
        out_.what = fmt::format("The device {} is virtual and has no queue of its own (noqueue), so nothing waits here "
                                "unless a qdisc is put there. The packet goes straight to the driver's transmit "
                                "function.",
                                out_.device);
        out_.calls = {call("dev_hard_start_xmit")};
    }

    // Through a driver, to wherever that hands the packet.
    void transmit() {
        DeviceKind kind = way_.kind_of(role_of(out_.hop.from));
        bool to_parent = is_at(out_.hop.to, POINT_QUEUE);
        switch (kind) {
        case DeviceKind::veth:
            out_.what =
                "veth_xmit hands the packet to the other end of the pair, which is in another namespace: nothing "
                "is copied, the packet only changes its device. It is put into the backlog of this CPU, as if "
                "it had just come from a wire.";
            out_.calls = {call("veth_xmit"), inlinable("veth_forward_skb", {"veth_xmit"}), call("__dev_forward_skb"),
                          either("__netif_rx", "netif_rx"), netif_rx_internal()};
            break;
        case DeviceKind::netkit:
            out_.what = "netkit_xmit runs the BPF program of the device, if there is one, and hands the packet to the "
                        "other end of the pair. As no program redirects it, it is put into the backlog of this CPU.";
            out_.calls = {call("netkit_xmit"), either("__netif_rx", "netif_rx"), netif_rx_internal()};
            break;
        case DeviceKind::macvlan:
            out_.calls = {call("macvlan_start_xmit"), inlinable("macvlan_queue_xmit", {"macvlan_start_xmit"})};
            if (to_parent) {
                out_.what = "The destination is no other macvlan of the same parent, so the packet goes out by the "
                            "parent, the host's uplink. Only its device changes: the host's IP does not see it.";
                out_.calls.push_back(call("__dev_queue_xmit"));
            } else {
                out_.what =
                    "The destination is another macvlan of the same parent, so the packet does not leave. It is "
                    "put into the backlog of this CPU in the parent's name.";
                append(out_.calls, {call("dev_forward_skb"), netif_rx_internal()});
            }
            break;
        case DeviceKind::ipvlan:
        case DeviceKind::ipvlan_l3:
            ipvlan(kind, to_parent);
            break;
        case DeviceKind::bridge: // whose transmit is a hop of stage bridge
            break;
        }
    }

    void ipvlan(DeviceKind kind, bool to_parent) {
        bool is_l3 = kind == DeviceKind::ipvlan_l3;
        out_.calls = {call("ipvlan_start_xmit"), call("ipvlan_queue_xmit"),
                      inlinable(is_l3 ? "ipvlan_xmit_mode_l3" : "ipvlan_xmit_mode_l2",
                                {"ipvlan_queue_xmit", "ipvlan_start_xmit"})};
        if (!to_parent) {
            out_.what = "The destination address belongs to another ipvlan of the same parent, so the packet does not "
                        "leave. It is put into the backlog of this CPU as the receiver's own.";
            append(out_.calls, {inlinable("ipvlan_rcv_frame", {"ipvlan_queue_xmit", "ipvlan_start_xmit"}),
                                call("dev_forward_skb"), netif_rx_internal()});
        } else if (is_l3) {
            out_.what = "The destination is no other ipvlan of the same parent. The packet is taken into the host's "
                        "namespace and sent there as if the host had made it: it is routed, and passes the host's "
                        "OUTPUT and POSTROUTING, but neither PREROUTING nor FORWARD.";
            append(out_.calls, {call("ip_local_out"), call("ip_output"), call("__dev_queue_xmit")});
            out_.netfilter = {"output", "postrouting"};
        } else {
            out_.what = "The destination is no other ipvlan of the same parent, so the packet goes out by the parent, "
                        "the host's uplink. Only its device changes: the host's IP does not see it.";
            out_.calls.push_back(call("__dev_queue_xmit"));
        }
    }

    void backlog() {
        out_.context = "softirq: NET_RX, on the sender's CPU unless RPS sends it to another";
        out_.calls = {inlinable("enqueue_to_backlog", {"netif_rx_internal", "__netif_rx", "netif_rx"})};
        switch (taker_) {
        case Taker::nobody:
            out_.what = "The packet waits in the backlog of this CPU, and NET_RX is raised. It runs when the sender "
                        "allows softirqs again, still inside send(), and takes the packet up.";
            append(out_.calls,
                   {either("handle_softirqs", "__do_softirq"), call("net_rx_action"), call("process_backlog")});
            break;
        case Taker::poll:
            out_.what = "The packet waits in the backlog of this CPU. NET_RX is running already, for the poll that the "
                        "packet comes from, and takes it up afterwards.";
            out_.calls.push_back(call("process_backlog"));
            break;
        case Taker::backlog:
            out_.what = "The packet waits in the backlog of this CPU. The process_backlog that it comes from is still "
                        "running, and takes it up next, as long as both are on one CPU.";
            break;
        }
        out_.calls.push_back(netif_receive_skb_core());
    }

    // veth with GRO: by a ring and a NAPI poll, past the backlog.
    void poll() {
        out_.what =
            "veth_xmit puts the packet into a ring of the other end, and raises NET_RX. There veth_poll takes it "
            "out of the ring and gives it to GRO.";
        out_.context = "process, then softirq: veth_poll in a NET_RX run, on the sender's CPU";
        out_.calls = {call("veth_xmit")};
        if (in_process())
            append(out_.calls, {either("handle_softirqs", "__do_softirq"), call("net_rx_action")});
        append(out_.calls, {call("veth_poll"), either("gro_receive_skb", "napi_gro_receive")});
    }

    void gro() {
        out_.what =
            "GRO looks whether the packet continues an earlier one, and keeps it until the poll ends, in case more "
            "of the same stream comes. Then the packet goes on as if it had just come from a wire.";
        out_.context = "softirq: the same NET_RX run";
        out_.calls = {netif_receive_skb_core()};
    }

    void bridge() {
        Call push = call("br_dev_queue_push_xmit");
        const HopName &hop = out_.hop;
        if (is_at(hop.to, POINT_XMIT, ROLE_BRIDGE)) {
            queue();
        } else if (is_at(hop.from, POINT_XMIT, ROLE_BRIDGE)) {
            out_.what =
                "The bridge looks up behind which port the destination's MAC address is. It hands the packet to "
                "that port, which is the host's end of the container's pair.";
            out_.calls = {call("br_dev_xmit"), inlinable("__br_forward", {"br_forward", "br_dev_xmit"}), push,
                          call("__dev_queue_xmit")};
        } else if (is_at(hop.to, POINT_RECEIVE, ROLE_BRIDGE)) {
            out_.what =
                "The device is a port of a bridge, whose rx_handler takes the packet before IP sees it. Its "
                "destination is the bridge's own MAC address, so it is received a second time, from the bridge.";
            out_.calls = {call("br_handle_frame"), call("br_handle_frame_finish"),
                          inlinable("br_pass_frame_up", {"br_handle_frame_finish"}), netif_receive_skb_core()};
        } else {
            out_.what = "The device is a port of a bridge, whose rx_handler takes the packet before IP sees it. Its "
                        "destination is behind another port, so the bridge hands it there: nobody routes it.";
            out_.calls = {call("br_handle_frame"), call("br_handle_frame_finish"), push, call("__dev_queue_xmit")};
        }
    }

    void host_forward() {
        out_.what =
            "The host routes the packet as a router would: it looks up the route, decrements the TTL, and finds "
            "the neighbour. On this way its netfilter is asked, where PREROUTING, FORWARD and POSTROUTING have "
            "rules.";
        out_.calls = {ip_rcv(), call("ip_forward"), call("ip_output"), ip_finish_output2(), call("__dev_queue_xmit")};
        if (row_of(way_.mode()).special.masquerades) {
            out_.what += " Here they have: the masquerade rule, and with it conntrack.";
            out_.calls.insert(out_.calls.begin() + 1, call("nf_hook_slow"));
        }
        out_.netfilter = {"prerouting", "forward", "postrouting"};
    }

    void stack_rx() {
        end receiver = end_of(out_.hop.to);
        role from = role_of(out_.hop.from);
        DeviceKind kind = way_.kind_of(receiver == END_CLIENT ? ROLE_CONTAINER : ROLE_PEER);
        bool by_parent = from == ROLE_UPLINK && way_.mode() != Mode::host;
        if (by_parent && kind == DeviceKind::macvlan) {
            out_.what =
                "The uplink has an rx_handler, which takes the packet before the host's IP sees it, and gives it "
                "the device of the container with that MAC address. ";
            out_.calls = {call("macvlan_handle_frame")};
        } else if (by_parent) {
            out_.what =
                "The uplink has an rx_handler, which takes the packet before the host's IP sees it, and gives it "
                "the device of the container with that IP address. ";
            out_.calls = {call("ipvlan_handle_frame"), inlinable("ipvlan_handle_mode_l3", {"ipvlan_handle_frame"})};
        }
        out_.netns = by_parent ? fmt::format("host, then {}", netns_of(receiver)) : netns_of(receiver);
        out_.what += fmt::format("IP sees that the packet is for this namespace{}, and TCP puts its data into the "
                                 "socket's queue.",
                                 by_parent ? "" : " and finds its socket");
        if (!by_parent)
            out_.what += " Then it tells the socket that there is something to read.";
        append(out_.calls, {ip_rcv(), call("ip_local_deliver"), call("tcp_v4_rcv"), call("tcp_v4_do_rcv"),
                            call("tcp_rcv_established"), call("sock_def_readable")});
        if (way_.mode() == Mode::host && receiver == END_CLIENT)
            out_.netfilter = {"prerouting", "input"};
    }

    void wakeup() {
        end receiver = end_of(out_.hop.to);
        std::string who = receiver == END_CLIENT ? "client" : "server";
        out_.netns = netns_of(receiver);
        out_.device = "";
        out_.what = fmt::format("If the {} sleeps in recv(), the softirq wakes it, and the scheduler lets it run; "
                                "otherwise it has yet to come to recv(). It copies the data out of the socket and "
                                "returns to the application.",
                                who);
        out_.context = fmt::format("softirq, then process: the {}, on its CPU", who);
        out_.calls = {call("__wake_up_sync_key"), call("try_to_wake_up"), call("tcp_recvmsg")};
    }

    void application() {
        out_.netns = netns_of(END_SERVER);
        out_.device = "";
        out_.what = "The server has the request and sends its answer. No function of the kernel's network is passed.";
        out_.context = "process: the server, in user space, on its CPU";
    }

    const Way &way_;
    Taker taker_;
    Passage out_;
};

} // namespace

std::vector<Passage> walk_of(const Way &way) {
    std::vector<Passage> walk;
    std::optional<Direction> direction;
    Taker taker = Taker::nobody;
    for (const HopName &hop : way.hops()) {
        if (!hop.every_message)
            continue;
        if (direction != hop.direction) {
            direction = hop.direction;
            taker = Taker::nobody;
        }
        walk.push_back(Writer(way, hop, taker).write());
        if (hop.stage == Stage::backlog)
            taker = is_at_device(hop.to) && point_of(hop.to) == POINT_GRO ? Taker::poll : Taker::backlog;
    }
    return walk;
}

std::vector<std::string_view> functions_of(std::span<const Passage> walk) {
    std::vector<std::string_view> functions;
    for (const Passage &passage : walk)
        for (const Call &called : passage.calls) {
            functions.insert(functions.end(), called.names.begin(), called.names.end());
            functions.insert(functions.end(), called.inlined_into.begin(), called.inlined_into.end());
        }
    std::sort(functions.begin(), functions.end());
    functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
    return functions;
}

std::vector<WalkModule> modules_of(const Way &way) {
    std::vector<WalkModule> modules = {{"veth", "veth_xmit"}};
    switch (row_of(way.mode()).container_device) {
    case DeviceKind::netkit:
        modules.push_back({"netkit", "netkit_xmit"});
        break;
    case DeviceKind::macvlan:
        modules.push_back({"macvlan", "macvlan_start_xmit"});
        break;
    case DeviceKind::ipvlan:
    case DeviceKind::ipvlan_l3:
        modules.push_back({"ipvlan", "ipvlan_start_xmit"});
        break;
    case DeviceKind::veth:
    case DeviceKind::bridge:
        break;
    }
    if (row_of(way.mode()).attachment == Attachment::bridge_port)
        modules.push_back({"bridge", "br_handle_frame"});
    return modules;
}

std::string netfilter_text(std::span<const Passage> walk) {
    auto hooks = [&](Direction direction) {
        std::vector<std::string_view> passed;
        for (const Passage &passage : walk)
            if (passage.hop.direction == direction)
                passed.insert(passed.end(), passage.netfilter.begin(), passage.netfilter.end());
        return passed.empty() ? std::string("none") : fmt::format("{}", fmt::join(passed, ", "));
    };
    std::string out = hooks(Direction::request);
    std::string in = hooks(Direction::response);
    std::string text = fmt::format("Hooks of the host's netfilter on this way: {} (request), {} (response).", out, in);
    if (out == "none" && in == "none")
        return text + " The host's IP never has the packet, so a rule of the host, be it a firewall's or a Kubernetes "
                      "service's, does not see it.";
    if (out == "none" || in == "none")
        return text + " So a rule of the host sees one direction only, and cannot follow the connection.";
    return text + " A rule of the host sees both directions.";
}

} // namespace vethtrace
