"""Small inputs that showed faults, and their kin: each with the right value known from elsewhere than `watch`.

`field-*` are public reports in small; the address of the report stands with each.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import time
import unittest

from node import Missing, Node, eventually, run
from networks import SERVICE, netns
from scene import AT_LEAST, slack
from watching import BINARY, Watch

CASES = {}


@dataclasses.dataclass
class Case:
    name: str
    summary: str
    test: type
    ci: bool
    module: list
    programs: list


def case(name, summary, ci=False, machine=None, programs=()):
    """Registers a function of a Node and a TestCase, whose assertions are the test."""

    def register(body):
        def test_it(self):
            try:
                with Node() as node:
                    body(node, self)
            except Missing as missing:
                self.skipTest(str(missing))

        test_it.__doc__ = summary
        test = type(f"Case_{name.replace('-', '_')}", (CaseTest,), {"test_it": test_it})
        assert name not in CASES, name
        CASES[name] = Case(name, summary, test, ci, machine, list(programs))
        return body

    return register


class CaseTest(unittest.TestCase):
    longMessage = True

    def sees(self, seen, space, direction, stage, truth, why, exactly=False):
        """n of a stage against what is known of it, or a reason why the stage is unseen."""
        if stage in seen.unseen(space.name, direction):
            return
        self.assertAlmostEqual(
            seen.count(space.name, direction, stage), truth, delta=0 if exactly else slack(truth),
            msg=f"{direction} {stage} of {space.name}: {why}; {dict(seen.hops(space.name, direction, stage))}")

    def socket_sees(self, seen, space, delivered, read=None, exactly=False):
        """Packets with data that came to its sockets, and reads that ended a wait."""
        self.sees(seen, space, "in", "stack_rx", delivered, "packets with data", exactly)
        self.sees(seen, space, "in", "wakeup", delivered if read is None else read, "reads", exactly)

    def drops_nothing(self, seen):
        self.assertEqual(dict(seen.drops()), {}, "drops where nothing is lost")

    def balances(self, seen):
        self.assertTrue(seen.balanced, seen.books)

    def waits_at_most(self, seen, space, seconds, stages=("stack_rx", "wakeup")):
        for stage in stages:
            worst = seen.worst(space.name, "in", stage)
            if worst is not None:
                self.assertLess(worst, seconds * 1e9, f"{stage}: nothing waited that long")


def look(node, *spaces, words=(), host=None):
    return Watch(host or node.host, *netns(*spaces), *words)


def pair(node, *serve, protocol="tcp"):
    """Somebody outside, and a container with the small server at port 80."""
    outside, container = node.outside(), node.routed()
    container.serve(80, *serve, protocol=protocol)
    return outside, container


def both_right(test, node, outside, container, *words, delivered=1, read=1, exactly=False):
    """The number of data packets is `delivered` for each request, that of reads is `read`."""
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 80, *words)
    seen, n = watch.seen, counted["requests"]
    test.socket_sees(seen, container, n * delivered, n * read, exactly)
    test.drops_nothing(seen)
    test.balances(seen)
    return seen


# ---- how connections end

@case("short-connections", "connect, ask, answer, close, with a pause between: the pause is nobody's delay", ci=True)
def short_connections(node, test):
    outside, container = pair(node)
    seen = both_right(test, node, outside, container, "--connections", 12, "--between", 0.4, exactly=True)
    test.waits_at_most(seen, container, 0.35)


@case("short-connections-of-a-client", "the same, with the client's container watched")
def short_connections_of_a_client(node, test):
    outside, container = node.outside(), node.routed()
    outside.serve(80)
    with look(node, container) as watch:
        counted = container.ask("192.0.2.2", 80, "--connections", 12, "--between", 0.4)
    test.socket_sees(watch.seen, container, counted["answers"], exactly=True)
    test.waits_at_most(watch.seen, container, 0.35)
    test.drops_nothing(watch.seen)


@case("thousand-short-connections", "1,000 connections of one request each: as many wakeups as requests")
def thousand_short_connections(node, test):
    both_right(test, node, *pair(node), "--connections", 1000)


@case("keep-alive", "the same number of requests over one connection")
def keep_alive(node, test):
    both_right(test, node, *pair(node), "--requests", 1000)


@case("half-closed-client", "the client closes its side before the answer", ci=True)
def half_closed_client(node, test):
    both_right(test, node, *pair(node), "--connections", 200, "--half-close", "--wait-for-end")


@case("server-closes-first", "the server closes after its answer")
def server_closes_first(node, test):
    both_right(test, node, *pair(node, "--behaviour", "closes-first"), "--connections", 200, "--wait-for-end")


@case("client-resets", "the client ends each connection by RST")
def client_resets(node, test):
    both_right(test, node, *pair(node), "--connections", 200, "--reset")


@case("server-resets", "the server ends each connection by RST after its answer")
def server_resets(node, test):
    both_right(test, node, *pair(node, "--behaviour", "resets"), "--connections", 200, "--wait-for-end")


@case("unread-at-close", "the server closes with a second request unread: two came, one was read")
def unread_at_close(node, test):
    outside, container = pair(node, "--behaviour", "keeps-unread")
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 80, "--connections", 100, "--one-more", "--wait-for-end")
    test.socket_sees(watch.seen, container, 2 * counted["requests"], counted["requests"])
    test.balances(watch.seen)
    test.waits_at_most(watch.seen, container, 5)


@case("connection-stays-open", "connections that stay open after their answer")
def connection_stays_open(node, test):
    outside, container = pair(node)
    seen = both_right(test, node, outside, container, "--connections", 6, "--stay", 0.5, exactly=True)
    test.waits_at_most(seen, container, 0.4)


# ---- how sockets are read

@case("peeking-reader", "a reader that looks first with MSG_PEEK: one wait for each request", ci=True)
def peeking_reader(node, test):
    both_right(test, node, *pair(node, "--behaviour", "peeks"), "--requests", 1000)


@case("peeking-reader-udp", "the same over UDP")
def peeking_reader_udp(node, test):
    both_right(test, node, *pair(node, "--behaviour", "peeks", protocol="udp"), "--requests", 1000, "--udp")


@case("reads-in-pieces", "a reader that takes 16 of the 64 bytes at a time: one wait for each request")
def reads_in_pieces(node, test):
    outside, container = pair(node, "--read", 16)
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 80, "--requests", 1000)
    test.socket_sees(watch.seen, container, counted["requests"])
    test.drops_nothing(watch.seen)


@case("reopened-udp-socket", "a UDP socket that is opened anew after every 10 datagrams")
def reopened_udp_socket(node, test):
    outside, container = pair(node, "--reopen", 10, protocol="udp")
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 80, "--requests", 10, "--connections", 50, "--udp", "--between", 0.02)
    test.assertEqual(counted["lost"], 0)
    test.socket_sees(watch.seen, container, counted["requests"])
    test.drops_nothing(watch.seen)


@case("stopped-application", "the application is stopped for 3 s with data in its socket", ci=True)
def stopped_application(node, test):
    outside, container = node.outside(), node.routed()
    server = container.serve(80)
    with look(node, container) as watch:
        outside.ask("10.9.1.2", 80, "--requests", 100)
        server.send_signal(signal.SIGSTOP)
        client = outside.start("sh", "-c", f"exec python3 -B {pathlib.Path(__file__).parent}/talk.py ask 10.9.1.2 80 --requests 1")
        time.sleep(4)
        server.send_signal(signal.SIGCONT)
        client.wait(30)
        time.sleep(1.2)
    seen = watch.seen
    test.assertIsNotNone(seen.oldest_unread(container.name), "what waits unread is told of")
    test.assertGreater(seen.oldest_unread(container.name), 2e9)
    test.socket_sees(seen, container, 101, exactly=True)
    test.assertGreater(seen.worst(container.name, "in", "wakeup"), 2.5e9, "once it is read, the wait is known")


@case("never-accepted", "data for a connection that nobody accepts")
def never_accepted(node, test):
    outside, container = node.outside(), node.routed()
    container.serve(80, "--behaviour", "never-accepts")
    with look(node, container) as watch:
        outside.ask("10.9.1.2", 80, "--requests", 1, "--connections", 3, "--no-answer", "--stay", 1)
    seen = watch.seen
    test.sees(seen, container, "in", "stack_rx", 3, "requests", exactly=True)
    test.assertEqual(seen.count(container.name, "in", "wakeup"), 0)
    test.assertIsNotNone(seen.oldest_unread(container.name), "what waits unread is told of")
    test.assertGreater(seen.oldest_unread(container.name), 1e9)


# ---- addresses that change

@case("w1-dnat", "one rule with another port: the same n as without it", ci=True)
def w1_dnat(node, test):
    outside, container = pair(node)
    node.host.nft("table ip n { chain p { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.9.1.2:80; }; }")
    for address, port in (("10.9.1.2", 80), ("192.0.2.1", 8080)):
        with test.subTest(port=port):
            with look(node, container) as watch:
                counted = outside.ask(address, port, "--requests", 1000)
            test.socket_sees(watch.seen, container, counted["requests"], exactly=True)


@case("port-on-both-sides", "--port before and after the translation: both ways by either")
def port_on_both_sides(node, test):
    outside, container = pair(node)
    node.host.nft("table ip n { chain p { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.9.1.2:80; }; }")
    for port in (80, 8080):
        with test.subTest(port=port):
            with look(node, container, words=["--port", port]) as watch:
                counted = outside.ask("192.0.2.1", 8080, "--requests", 500)
            test.socket_sees(watch.seen, container, counted["requests"])
            for direction in ("in", "out"):
                test.assertGreaterEqual(watch.seen.count(container.name, direction, "qdisc"), counted["requests"],
                                        f"{direction} by port {port}")


@case("snat-other-port", "the source port is another one beyond the host")
def snat_other_port(node, test):
    outside, container = node.outside(), node.routed()
    node.host.nft("""table ip n { chain p { type nat hook postrouting priority srcnat;
        oifname "up0" ip protocol tcp snat to 192.0.2.1:40000-40100; }; }""")
    outside.serve(80)
    with look(node, container) as watch:
        counted = container.ask("192.0.2.2", 80, "--requests", 50, "--connections", 20)
    test.socket_sees(watch.seen, container, counted["answers"])
    test.drops_nothing(watch.seen)


@case("redirect-inside", "redirected by a rule of the container itself, as service meshes do")
def redirect_inside(node, test):
    outside, container = pair(node)
    container.nft("table ip n { chain p { type nat hook prerouting priority -100; tcp dport 8080 redirect to :80; }; }")
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 8080, "--requests", 1000)
    test.socket_sees(watch.seen, container, counted["requests"])
    test.drops_nothing(watch.seen)


@case("dnat-of-the-hosts-own", "the host itself asks its published port")
def dnat_of_the_hosts_own(node, test):
    _, container = pair(node)
    node.host.nft("table ip n { chain o { type nat hook output priority -100; tcp dport 8080 dnat to 10.9.1.2:80; }; }")
    with look(node, container) as watch:
        counted = node.host.ask("192.0.2.1", 8080, "--requests", 1000)
    test.socket_sees(watch.seen, container, counted["requests"])
    test.drops_nothing(watch.seen)


def hairpin_bridge(node, on):
    """A pod whose service's address leads back to itself, on a host whose bridges ask iptables."""
    node.bridge()
    pod = node.bridged(1)
    try:
        node.host.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    except RuntimeError as error:
        raise Missing("this kernel has no br_netfilter") from error
    node.host.nft("""table ip s {
        chain p { type nat hook prerouting priority dstnat; ip daddr 10.96.0.10 tcp dport 80 dnat to 10.8.0.2; }
        chain q { type nat hook postrouting priority srcnat; ip saddr 10.8.0.2 ip daddr 10.8.0.2 masquerade; }; }""")
    run(*node.host.line("bridge", "link", "set", "dev", "p0x1", "hairpin", "on" if on else "off"))
    pod.serve(80)
    return pod


@case("hairpin", "a pod asks itself through its service's address")
def hairpin(node, test):
    pod = hairpin_bridge(node, on=True)
    with look(node, pod) as watch:
        counted = pod.ask("10.96.0.10", 80, "--requests", 1000)
    # Both ends are the pod's: requests and answers.
    messages = counted["requests"] + counted["answers"]
    test.socket_sees(watch.seen, pod, messages)
    for direction, stage in (("out", "qdisc"), ("out", "backlog"), ("in", "qdisc"), ("in", "backlog")):
        test.assertGreaterEqual(watch.seen.count(pod.name, direction, stage), messages, f"{direction} {stage}")
    test.drops_nothing(watch.seen)


@case("field-16-hairpin-off", "https://github.com/kubernetes/kubernetes/issues/13375: the bridge does not send it back")
def field_16_hairpin_off(node, test):
    pod = hairpin_bridge(node, on=False)
    with look(node, pod) as watch:
        sent = pod.packets("eth0")[1]
        client = pod.start("python3", "-c", "import socket; socket.create_connection(('10.96.0.10', 80), 2.5)")
        client.wait(30)
        syns = pod.packets("eth0")[1] - sent
    test.assertGreater(syns, 1)
    dropped = sum(n for where, n in watch.seen.drops(pod.name).items())
    test.assertAlmostEqual(dropped, syns, delta=1, msg=f"each SYN is lost at the bridge: {watch.seen.drops()}")


# ---- what is dropped, and whose it is

@case("field-21-hosts-own-drops", "the host's own packets are dropped by its OUTPUT chain; the container loses none", ci=True)
def field_21_hosts_own_drops(node, test):
    outside, container = pair(node)
    node.host.nft("table ip f { chain o { type filter hook output priority 0; ip daddr 192.0.2.77 counter drop; }; }")
    with look(node, container) as watch:
        noise = node.host.start("python3", "-c", """if True:
            import socket, time
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(400):
                try: s.sendto(b'x', ('192.0.2.77', 9))
                except OSError: pass
                time.sleep(.004)""")
        outside.ask("10.9.1.2", 80, "--requests", 600, "--pause", 0.003)
        noise.wait(30)
    test.drops_nothing(watch.seen)
    test.balances(watch.seen)


def dropped_by_rule(node, test, space, hook):
    """One of ten of a stream of datagrams is dropped there. The rule's own counter is the truth."""
    outside, container = node.outside(), node.routed()
    container.serve(80, protocol="udp")
    (node.host if space == "host" else container).nft(f"""table ip f {{ chain c {{ type filter hook {hook} priority 0;
        udp dport 80 numgen inc mod 10 0 counter drop; }}; }}""")
    where = node.host if space == "host" else container
    with look(node, container) as watch:
        outside.run("python3", "-c", """if True:
            import socket, time
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(500): s.sendto(b'x', ('10.9.1.2', 80)); time.sleep(.001)""")
    rules = json.loads(where.run("nft", "-j", "list", "table", "ip", "f"))
    truth = next(part["counter"]["packets"] for rule in rules["nftables"] if "rule" in rule for part in rule["rule"]["expr"]
                 if "counter" in part)
    test.assertEqual(truth, 50)
    # Whose a packet is that never came to a device of its target need not be known; that it was lost must be.
    test.assertEqual(sum(watch.seen.drops().values()), truth, watch.seen.drops())
    test.sees(watch.seen, container, "in", "stack_rx", 500 - truth, "sent less dropped", exactly=True)


@case("dropped-in-forward", "a rule of the host drops one packet in ten on its way to the container", ci=True)
def dropped_in_forward(node, test):
    dropped_by_rule(node, test, "host", "forward")


@case("dropped-in-input", "a rule of the container drops one packet in ten")
def dropped_in_input(node, test):
    dropped_by_rule(node, test, "container", "input")


@case("idle", "a target without traffic: nothing is dropped, missing or advised")
def idle(node, test):
    _, container = pair(node)
    with look(node, container) as watch:
        time.sleep(3)
    seen = watch.seen
    test.drops_nothing(seen)
    test.assertEqual(seen.advice(), set())
    test.assertEqual([one for window in seen.windows for one in window.get("unseen", []) if one.get("promised")], [])


@case("ping", "20 pings: the copy that the ping's own socket lets go is no loss")
def ping(node, test):
    outside, container = pair(node)
    with look(node, container) as watch:
        said = container.run("ping", "-c", 20, "-i", 0.05, "-q", "192.0.2.2")
    test.assertIn("20 received", said)
    test.drops_nothing(watch.seen)
    test.sees(watch.seen, container, "out", "qdisc", 20, "pings")


@case("field-10-accept-queue-full", "https://github.com/gwsystems/sledge-serverless-framework/pull/395: a full accept queue")
def field_10_accept_queue_full(node, test):
    outside, container = node.outside(), node.routed()
    container.serve(80, "--behaviour", "never-accepts", "--backlog", 4)

    def overflows():
        lines = [line.split() for line in container.run("cat", "/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
        return int(lines[1][lines[0].index("ListenOverflows")])

    with look(node, container) as watch:
        before = overflows()
        outside.run("python3", "-c", """if True:
            import socket, time
            tried = [socket.socket() for _ in range(24)]
            for one in tried: one.setblocking(False); one.connect_ex(('10.9.1.2', 80))
            time.sleep(3.5)""")
        truth = overflows() - before
    test.assertGreater(truth, 0)
    told = watch.seen.sockets(container.name, "listen_overflows")
    test.assertIsNotNone(told, "overflows of the accept queue are told")
    test.assertAlmostEqual(told, truth, delta=max(2, truth * 0.1))


@case("field-11-mtu-black-hole", "https://github.com/moby/moby/issues/12565: too big for the uplink, and the ICMP is filtered")
def field_11_mtu_black_hole(node, test):
    outside, container = node.outside(), node.routed()
    node.host.ip("link", "set", "up0", "mtu", "1400")
    node.host.nft("table ip f { chain o { type filter hook output priority 0; icmp type destination-unreachable drop; }; }")
    container.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off")
    outside.serve(80, "--read", 65536)

    def failed():
        names, values = [line.split() for line in node.host.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Ip:")]
        return int(values[names.index("FragFails")])

    with look(node, container) as watch:
        before, again = failed(), container.retransmitted()
        container.run("python3", "-c", """if True:
            import socket, time
            s = socket.create_connection(('192.0.2.2', 80)); s.sendall(b'b' * 4000); time.sleep(3)""")
        truth, again = failed() - before, container.retransmitted() - again
    test.assertGreater(truth, 2)
    test.assertGreaterEqual(sum(watch.seen.drops(container.name).values()), truth,
                            f"each packet that is too big is dropped by the host: {watch.seen.drops()}")
    told = watch.seen.sockets(container.name, "retransmitted")
    test.assertIsNotNone(told, "retransmissions are told")
    test.assertAlmostEqual(told, again, delta=2)


@case("field-12-bandwidth-limit", "https://github.com/containernetworking/plugins/pull/1025: a token bucket with 25 ms of queue")
def field_12_bandwidth_limit(node, test):
    outside, container = node.outside(), node.routed()
    node.host.run("tc", "qdisc", "add", "dev", "v1", "root", "tbf", "rate", "50mbit", "burst", "32kb", "latency", "25ms")
    outside.start("python3", "-c", """if True:
        import socket
        s = socket.create_server(('', 81)); c, _ = s.accept()
        while True: c.sendall(b'z' * 65536)""")
    eventually(lambda: outside.listens(81), "the sender")
    outside.serve(80)

    def dropped():
        return json.loads(node.host.run("tc", "-s", "-j", "qdisc", "show", "dev", "v1"))[0]["drops"]

    with look(node, container) as watch:
        before = dropped()
        bulk = container.start("python3", "-c", """if True:
            import socket
            s = socket.create_connection(('192.0.2.2', 81))
            while s.recv(65536): pass""")
        time.sleep(1)
        container.ask("192.0.2.2", 80, "--requests", 60, "--pause", 0.01)
        os.killpg(bulk.pid, signal.SIGKILL)
        time.sleep(0.3)
        truth = dropped() - before
    seen = watch.seen
    # A full queue of 25 ms: what waits there mostly waits nearly so long. A busy machine serves it late at times.
    test.assertGreater(seen.mean(container.name, "in", "qdisc"), 5e6)
    test.assertLess(seen.mean(container.name, "in", "qdisc"), 40e6)
    test.assertAlmostEqual(sum(seen.drops(container.name).values()), truth, delta=slack(truth), msg=f"{seen.drops()}")
    test.assertIn("qdisc-wait", seen.advice())


@case("field-09-nagle", "https://github.com/scylladb/seastar/issues/968: 40 ms that no stage of the receiver has")
def field_09_nagle(node, test):
    outside, container = node.outside(), node.routed()
    container.start("python3", "-c", """if True:
        import socket
        l = socket.create_server(('', 80)); c, _ = l.accept(); n = 0
        while d := c.recv(999):
            n += len(d)
            if n >= 200: n -= 200; c.sendall(b'y' * 50)""")
    eventually(lambda: container.listens(80), "the server")
    with look(node, container) as watch:
        said = outside.run("python3", "-c", """if True:
            import socket, time
            s = socket.create_connection(('10.9.1.2', 80)); t = []
            for _ in range(40):
                a = time.monotonic(); s.sendall(b'h' * 100); s.sendall(b'b' * 100); s.recv(99); t.append(time.monotonic() - a)
            print(sorted(t)[20])""")
    test.assertGreater(float(said), 0.03, "the client waits")
    test.socket_sees(watch.seen, container, 80, exactly=False)
    test.waits_at_most(watch.seen, container, 0.03)
    test.drops_nothing(watch.seen)


@case("export", "the exporter's counters after 1,000 requests to a published port", ci=True)
def export(node, test):
    outside, container = pair(node)
    node.host.nft("table ip n { chain p { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.9.1.2:80; }; }")
    node.host.start(BINARY, "export", "--netns", container.name, "--listen", "127.0.0.1:9954", "--interval", 1,
                    "--max-overhead", 100, "--quiet")
    eventually(lambda: node.host.listens(9954), "the exporter", 60)

    def scraped():
        text = node.host.run("python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9954/metrics').read().decode())")
        found = {}
        for line in text.splitlines():
            told = re.match(r'vethtrace_hop_latency_seconds_count\{(.*)\} (\d+)', line)
            labels = dict(re.findall(r'(\w+)="([^"]*)"', told[1])) if told else {}
            if labels.get("direction") == "in" and labels.get("container", labels.get("target")) == container.name:
                found[labels["stage"]] = int(told[2])
        return found

    time.sleep(2)
    counted = outside.ask("192.0.2.1", 8080, "--requests", 1000)
    eventually(lambda: scraped().get("qdisc", 0) >= counted["requests"], "the last window", 10)
    for stage in ("stack_rx", "wakeup"):
        test.assertAlmostEqual(scraped().get(stage, 0), counted["requests"], delta=slack(counted["requests"]), msg=stage)


@case("field-03-vxlan-bad-checksum", "https://github.com/projectcalico/calico/issues/3145: outer checksums are wrong three times")
def field_03_vxlan_bad_checksum(node, test):
    far = node.namespace("far")
    node.veth(node.host, "up0", far, "up0")
    for host, number, other in ((node.host, 1, 2), (far, 2, 1)):
        host.address("up0", f"192.0.2.{number}/24")
        host.ip("link", "add", "vx0", "type", "vxlan", "id", 1, "remote", f"192.0.2.{other}", "dstport", 4789, "dev", "up0", "udpcsum")
        host.address("vx0", f"10.244.0.{number}/24")
        host.forwards()
        host.ip("route", "add", "default", "via", f"192.0.2.{other}")
        for device in ("up0", "vx0"):
            host.run("ethtool", "-K", device, "tx", "off")
    near = node.routed(1)
    far.ip("addr", "add", "10.9.2.2/32", "dev", "lo")
    node.host.ip("route", "add", "10.9.2.0/24", "via", "10.244.0.2")
    far.ip("route", "add", "10.9.1.0/24", "via", "10.244.0.1")
    far.serve(80)
    near.run("ping", "-c", 1, "-W", 2, "10.244.0.2", check=False)  # neighbours are known
    far.nft("""table netdev f { chain i { type filter hook ingress device "up0" priority 0;
        ip length 110 udp dport 4789 quota until 350 bytes udp checksum set 0x1234 counter; }; }""")

    def wrong():
        names, values = [line.split() for line in far.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Udp:")]
        return int(values[names.index("InCsumErrors")])

    with Watch(far, "--interface", "up0") as watch:
        before = wrong()
        near.ask("10.9.2.2", 80, "--requests", 100)
        truth = wrong() - before
    test.assertGreater(truth, 0)
    named = sum(n for where, n in watch.seen.drops().items() if "CSUM" in where)
    test.assertEqual(named, truth, f"the kernel names these drops UDP_CSUM: {watch.seen.drops()}")


@case("field-22-wrong-owner", "two strangers have the same interface numbers: whose the far end is")
def field_22_wrong_owner(node, test):
    near, far = node.namespace("h"), node.host
    strange, end = node.namespace("stranger"), node.namespace("e")
    for one in (strange, near):
        one.ip("link", "add", "name", "fill", "type", "bridge")
    strange.ip("link", "add", "v", "type", "veth", "peer", "name", "v", "netns", end.name)
    strange.ip("link", "set", "v", "up")
    near.ip("link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", far.name)
    near.address("up0", "192.0.2.1/24")
    far.address("up0", "192.0.2.2/24")
    with Watch(far, "--interface", "up0") as watch:
        near.run("ping", "-c", 20, "-i", 0.05, "-q", "192.0.2.2")
    arrived = watch.seen.arrived()
    test.assertFalse([name for name in arrived if "stranger" in name or name == end.name], arrived.keys())
    owners = {device["netns"] for one in arrived.values() for device in one["devices"]}
    test.assertLessEqual(owners, {near.inode, far.inode}, arrived)


# ---- some packets, and not all

@case("w7-sampled-ack", "one in two, and a server slower than the delayed ACK: no 100 ms that never were", ci=True)
def w7_sampled_ack(node, test):
    outside, container = node.outside(), node.routed()
    outside.serve(80, "--delay", 0.1)
    with look(node, container, words=["--sample", 2]) as watch:
        container.ask("192.0.2.2", 80, "--requests", 40, "--pause", 0.01)
    # The acknowledgement comes first, and the answer 60 ms later.
    test.waits_at_most(watch.seen, container, 0.04, stages=("stack_rx",))


def sampled(node, test, sample):
    outside, container = pair(node)
    with look(node, container) as full, look(node, container, words=["--sample", sample]) as part:
        counted = outside.ask("10.9.1.2", 80, "--requests", 6000)
    for direction, stages in (("out", ("qdisc", "device_xmit")), ("in", ("qdisc", "device_xmit", "stack_rx", "wakeup"))):
        for stage in stages:
            with test.subTest(direction=direction, stage=stage):
                all_n = full.seen.count(container.name, direction, stage)
                n = part.seen.count(container.name, direction, stage)
                # Of packets that are chosen by chance, five standard deviations.
                expected = all_n / sample
                test.assertAlmostEqual(n, expected, delta=5 * (expected * (1 - 1 / sample)) ** 0.5 + 1)
                # Means are compared in a machine (tests/vm/watch_test.cpp): here the one's programs are in the other's hops.
                # An interrupt may come between the two.
                test.assertLessEqual(part.seen.worst(container.name, direction, stage),
                                     1.02 * full.seen.worst(container.name, direction, stage) + 1e6,
                                     "no maximum that is not in the full record")
    test.assertEqual(counted["answers"], 6000)


for one_in in (2, 8, 64):
    case(f"sampled-{one_in}", f"one in {one_in} against all of the same traffic", ci=one_in == 8)(
        lambda node, test, one_in=one_in: sampled(node, test, one_in))


# ---- how it is connected

@case("two-bridges", "containers of two bridges, with the host between")
def two_bridges(node, test):
    node.bridge("br0", "10.8.0.1/16")
    node.bridge("br1", "10.7.0.1/16")
    server, client = node.bridged(1, "br0", "10.8", name="s"), node.bridged(1, "br1", "10.7", name="c")
    server.serve(80)
    with look(node, server, client) as watch:
        before = {space: space.packets("eth0") for space in (server, client)}
        counted = client.ask("10.8.0.2", 80, "--requests", 1000)
        after = {space: space.packets("eth0") for space in (server, client)}
    test.socket_sees(watch.seen, server, counted["requests"])
    test.socket_sees(watch.seen, client, counted["answers"])
    for space in (server, client):
        test.sees(watch.seen, space, "in", "qdisc", after[space][0] - before[space][0], "rx_packets")
        test.sees(watch.seen, space, "out", "qdisc", after[space][1] - before[space][1], "tx_packets")
    test.drops_nothing(watch.seen)


@case("vlan-on-the-host", "the uplink is a VLAN device", machine=["8021q"])
def vlan_on_the_host(node, test):
    outside, container = node.namespace("outside"), node.routed()
    node.veth(node.host, "wire0", outside, "wire0")
    for space, number, other in ((node.host, 1, 2), (outside, 2, 1)):
        space.ip("link", "set", "wire0", "up")
        space.ip("link", "add", "link", "wire0", "name", "v100", "type", "vlan", "id", 100)
        space.address("v100", f"192.0.2.{number}/24")
        space.ip("route", "add", "default", "via", f"192.0.2.{other}")
    container.serve(80)
    with look(node, container) as watch:
        counted = outside.ask("10.9.1.2", 80, "--requests", 500)
    test.socket_sees(watch.seen, container, counted["requests"])
    test.sees(watch.seen, container, "in", "host_forward", counted["requests"] * 1.0 + 3, "requests and the handshake")
    test.drops_nothing(watch.seen)


@case("comes-and-goes", "a container that comes and goes within a window is counted under its name")
def comes_and_goes(node, test):
    outside = node.outside()
    with Watch(node.host, "--all", interval=5) as watch:
        container = node.routed(name="short")
        container.serve(80)
        time.sleep(1.5)  # it is picked up within a second
        counted = outside.ask("10.9.1.2", 80, "--requests", 500)
    test.assertIn(container.name, watch.seen.targets())
    test.socket_sees(watch.seen, container, counted["requests"])


@case("large-segments", "4 MB in segments as large as they come: the device's own count")
def large_segments(node, test):
    outside, container = node.outside(), node.routed()
    container.start("python3", "-c", """if True:
        import socket
        l = socket.create_server(('', 81)); c, _ = l.accept(); c.sendall(b'z' * 4_000_000); c.close()""")
    eventually(lambda: container.listens(81), "the sender")
    with look(node, container) as watch:
        received, sent = container.packets("eth0")
        got = outside.run("python3", "-c", """if True:
            import socket
            s = socket.create_connection(('10.9.1.2', 81)); n = 0
            while d := s.recv(65536): n += len(d)
            print(n)""")
        received, sent = (now - then for now, then in zip(container.packets("eth0"), (received, sent)))
    test.assertEqual(int(got), 4_000_000)
    test.sees(watch.seen, container, "out", "qdisc", sent, "tx_packets")
    test.sees(watch.seen, container, "in", "backlog", received, "rx_packets")
    test.drops_nothing(watch.seen)


# ---- what only a machine of its own may change

@case("field-05-conntrack-full", "https://github.com/kubernetes/kubernetes/issues/71261: a full table of connections",
      machine=["nf_conntrack"])
def field_05_conntrack_full(node, test):
    outside, container = pair(node)
    node.host.nft("table ip n { chain f { type filter hook forward priority 0; ct state new counter accept; }; }")
    pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max").write_text("29\n", encoding="utf-8")

    def refused():
        total = 0
        lines = node.host.run("cat", "/proc/net/stat/nf_conntrack").splitlines()
        column = lines[0].split().index("drop")
        for line in lines[1:]:
            total += int(line.split()[column], 16)
        return total

    with look(node, container) as watch:
        before = refused()
        outside.run("python3", "-c", """if True:
            import socket, time
            kept = []
            for _ in range(40):
                s = socket.socket(); s.settimeout(.3); kept.append(s)
                try: s.connect(('10.9.1.2', 80)); s.sendall(b'x'); s.recv(1)
                except OSError: pass""", timeout=120)
        truth = refused() - before
    test.assertGreater(truth, 5)
    test.assertAlmostEqual(sum(watch.seen.drops().values()), truth, delta=2, msg=f"{watch.seen.drops()}")


@case("field-07-cpu-quota", "https://github.com/kubernetes/kubernetes/issues/67577: 20 ms of each 100 ms", machine=[])
def field_07_cpu_quota(node, test):
    outside, container = node.outside(), node.routed()
    run("sh", "-c", "mkdir -p /sys/fs/cgroup; mount | grep -q cgroup2 || mount -t cgroup2 none /sys/fs/cgroup")
    group = pathlib.Path("/sys/fs/cgroup/real-quota")
    pathlib.Path("/sys/fs/cgroup/cgroup.subtree_control").write_text("+cpu\n", encoding="utf-8")
    group.mkdir()
    (group / "cpu.max").write_text("20000 100000\n", encoding="utf-8")
    server = container.serve(80, command=["python3", "-c", """if True:
        import socket, time
        l = socket.create_server(('', 80)); c, _ = l.accept()
        while d := c.recv(64):
            e = time.monotonic() + .002
            while time.monotonic() < e: pass
            c.sendall(d)"""])
    (group / "cgroup.procs").write_text(f"{server.pid}\n", encoding="utf-8")

    def throttled():
        return int(dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())["nr_throttled"])

    with Watch(node.host, "--pid", server.pid) as watch:
        before = throttled()
        outside.run("python3", "-c", """if True:
            import socket, time
            s = socket.create_connection(('10.9.1.2', 80))
            for _ in range(120): s.sendall(b'x' * 64); s.recv(64); time.sleep(.001)""", timeout=120)
        truth = throttled() - before
    test.assertGreater(truth, 3)
    names = {one["target"] for window in watch.seen.windows for one in window.get("sockets", [])}
    test.assertTrue(names, "the throttled target is told of")
    told = sum(watch.seen.sockets(name, "throttled_periods") for name in names)
    test.assertAlmostEqual(told, truth, delta=max(2, truth * 0.1))
