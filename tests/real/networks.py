"""The networks: each a function that builds it from real parts, and says what is watched and sent there.

To add one, write another function; what is asked of `watch` there stands in scene.py.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import time

import loads
from node import Missing, Namespace, eventually, need, run
from scene import BRIDGED, FOREIGN, OWN_DEVICE, PUBLISHED, ROUTED, ROUTED_LOCAL, SOCKET, TAP, TO_HOST, Scene, Watched, network

REQUESTS = 2000


def netns(*spaces):
    words = []
    for space in spaces:
        words += ["--netns", space.name]
    return words


def watched(space, promises, **more):
    return Watched(space.name, space, promises, **more)


def asks(client, host, port, *words, requests=REQUESTS):
    return lambda: client.ask(host, port, "--requests", requests, *words)


def both_ends(node, server, client, host, port):
    """Two containers of one bridge: all that one sends, the other gets."""
    server.serve(port)
    return Scene(node.host, netns(server, client),
                 [watched(server, BRIDGED), watched(client, BRIDGED, receives="answers")], asks(client, host, port))


# ---- veth, bridge, and nothing between

@network("routed", "a veth that the host routes to", ci=True)
def routed(node):
    outside, container = node.outside(), node.routed()
    container.serve(80)
    return Scene(node.host, netns(container), [watched(container, ROUTED)], asks(outside, "10.9.1.2", 80))


@network("bridge", "two containers of one bridge", ci=True)
def bridge(node):
    node.bridge()
    server, client = node.bridged(1), node.bridged(2)
    return both_ends(node, server, client, "10.8.0.2", 80)


@network("bridge-one-watched", "one of two containers of a bridge is watched")
def bridge_one_watched(node):
    node.bridge()
    server, client = node.bridged(1), node.bridged(2)
    server.serve(80)
    return Scene(node.host, netns(server), [watched(server, BRIDGED)], asks(client, "10.8.0.2", 80))


@network("container-to-host", "a container and a process of the host")
def container_to_host(node):
    container = node.routed()
    container.serve(80)
    return Scene(node.host, netns(container), [watched(container, TO_HOST)], asks(node.host, "10.9.1.2", 80))


# ---- translated by nft: a published port of another number

def published_by_nft(node, protocol, six=False, udp=False):
    outside, container = node.outside(), node.routed()
    family, address, other = ("ip6", "2001:db8:1::1", "[2001:db8:9:1::2]:80") if six else ("ip", "192.0.2.1", "10.9.1.2:80")
    node.host.nft(f"""table {family} n {{ chain p {{ type nat hook prerouting priority -100;
        {protocol} dport 8080 counter dnat to {other}; }}; }}""")
    container.serve(80, "--address", "::" if six else "0.0.0.0", protocol=protocol)
    words = ["--udp"] if udp else []
    return Scene(node.host, netns(container), [watched(container, ROUTED)], asks(outside, address, 8080, *words))


@network("nft-dnat-tcp4", "nft: tcp dport 8080 dnat to CONTAINER:80", ci=True)
def nft_dnat_tcp4(node):
    return published_by_nft(node, "tcp")


@network("nft-dnat-udp4", "nft: udp dport 8080 dnat to CONTAINER:80", ci=True)
def nft_dnat_udp4(node):
    return published_by_nft(node, "udp", udp=True)


@network("nft-dnat-tcp6", "nft: the same, TCP and IPv6")
def nft_dnat_tcp6(node):
    return published_by_nft(node, "tcp", six=True)


@network("nft-dnat-udp6", "nft: the same, UDP and IPv6")
def nft_dnat_udp6(node):
    return published_by_nft(node, "udp", six=True, udp=True)


@network("nft-masquerade", "a container that asks outside, masqueraded with the ports mixed", ci=True)
def nft_masquerade(node):
    outside, container = node.outside(), node.routed()
    node.host.nft("""table ip n { chain p { type nat hook postrouting priority srcnat;
        ip saddr 10.9.0.0/16 oifname "up0" counter masquerade fully-random; }; }""")
    outside.serve(80)
    return Scene(node.host, netns(container), [watched(container, ROUTED, receives="answers")],
                 asks(container, "192.0.2.2", 80, "--connections", 20, requests=100))


# ---- Services, as kube-proxy makes them

SERVICE = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-SEP-B - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A ! -s 10.244.0.0/16 -p tcp -j KUBE-MARK-MASQ
-A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-A
-A KUBE-SVC-A -j KUBE-SEP-B
-A KUBE-SEP-A -s 10.9.1.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.9.1.2:8080
-A KUBE-SEP-B -s 10.9.2.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.9.2.2:8080
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
"""


def service(node, restore):
    """Two endpoints behind an address that nobody has; a third container asks."""
    need(restore)
    first, second, client = node.routed(1), node.routed(2), node.routed(3)
    node.host.run(restore, text=SERVICE)
    client_asks = asks(client, "10.96.0.10", 80, "--connections", 40, requests=50)
    for end in (first, second):
        end.serve(8080)
    return Scene(node.host, netns(client), [watched(client, ROUTED_LOCAL, receives="answers")], client_asks)


@network("service-iptables-nft", "a Service by iptables-nft: DNAT to one of two, masquerade --random-fully", ci=True)
def service_iptables_nft(node):
    return service(node, "iptables-nft-restore")


@network("service-iptables-legacy", "the same by iptables-legacy")
def service_iptables_legacy(node):
    return service(node, "iptables-legacy-restore")


@network("service-endpoint", "a Service's only endpoint, asked by a container with --random-fully")
def service_endpoint(node):
    need("iptables-nft-restore")
    server, client = node.routed(1), node.routed(2)
    only = SERVICE.replace("--probability 0.5", "--probability 1.0")
    node.host.run("iptables-nft-restore", text=only)
    server.serve(8080)
    return Scene(node.host, netns(server, client),
                 [watched(server, ROUTED_LOCAL), watched(client, ROUTED_LOCAL, receives="answers")],
                 asks(client, "10.96.0.10", 80, "--connections", 20, requests=100))


@network("service-ipvs", "a Service by IPVS, masqueraded", machine=["ip_vs", "ip_vs_rr", "nf_conntrack", "dummy"],
         programs=["ipvsadm"])
def service_ipvs(node):
    need("ipvsadm")
    server, client = node.routed(1), node.routed(2)
    node.host.ip("link", "add", "kube-ipvs0", "type", "dummy")
    node.host.address("kube-ipvs0", "10.96.0.10/32")
    node.host.set(net__ipv4__vs__conntrack=1)
    node.host.run("ipvsadm", "-A", "-t", "10.96.0.10:80", "-s", "rr")
    node.host.run("ipvsadm", "-a", "-t", "10.96.0.10:80", "-r", "10.9.1.2:8080", "-m")
    server.serve(8080)
    return Scene(node.host, netns(server, client),
                 [watched(server, ROUTED_LOCAL), watched(client, ROUTED_LOCAL, receives="answers")],
                 asks(client, "10.96.0.10", 80, "--connections", 10, requests=100))


# ---- podman with netavark

class Podman:
    """Podman with networks of its own, on the node's host; its containers see this machine's programs, read only."""

    def __init__(self, node):
        need("podman", "runc")
        if not pathlib.Path("/usr/lib/podman/netavark").exists():
            raise Missing("netavark is not installed")
        self.node, self.folder = node, node.folder / "podman"
        self.names = []
        self.root = busybox_tree(self.folder / "tree")
        node.undo(self._clear)

    def run(self, *words, **options):
        return self.node.host.run(
            "podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--network-backend", "netavark",
            "--network-config-dir", self.folder / "networks", *words, timeout=120, **options,
        )

    def container(self, name, *options, command=("sleep", "3600")):
        """Runs one, with a namespace to be seen."""
        name = f"{self.node.prefix}-{name}"
        self.names.append(name)
        self.run("run", "-d", "--name", name, "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000",
                 "--pids-limit", "0", *options, *sees_this_machine(self.node), "--rootfs", self.root, *command)
        return self.space(name)

    def space(self, name):
        pid = self.run("inspect", "-f", "{{.State.Pid}}", name).strip()
        return self.node.of_process(pid, name)

    def address(self, space):
        return space.run("ip", "-4", "-br", "addr", "show", "dev", "eth0").split()[2].split("/")[0]

    def _clear(self):
        for name in self.names:
            self.run("rm", "-f", "-t", "0", name, check=False)


def busybox_tree(folder):
    """A root with a busybox and places to mount this machine's programs on."""
    for path in ("bin", "sbin", "usr", "lib", "lib64", "etc", "proc", "sys", "dev", "tmp", "run", "work"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("busybox"), folder / "bin/busybox")
    (folder / "bin/sleep").symlink_to("busybox")
    return folder


def sees_this_machine(node):
    words = []
    for path in ("/usr", "/lib", "/lib64", "/etc", "/bin"):
        words += ["-v", f"{path}:{path}:ro"]
    return [*words, "-v", f"{pathlib.Path(__file__).resolve().parent}:/work:ro"]


SERVE = ("/usr/bin/python3", "-B", "/work/talk.py", "serve", "--port")


@network("podman-published", "podman with netavark: -p 8080:80", ci=True)
def podman_published(node):
    podman, outside = Podman(node), node.outside()
    web = podman.container("web", "-p", "8080:80", command=(*SERVE, "80"))
    eventually(lambda: web.listens(80), "the container's server")
    return Scene(node.host, ["--netns", web.path], [Watched(web.name, web, PUBLISHED)], asks(outside, "192.0.2.1", 8080))


@network("podman-published-udp", "podman with netavark: -p 5353:53/udp")
def podman_published_udp(node):
    podman, outside = Podman(node), node.outside()
    web = podman.container("dns", "-p", "5353:53/udp", command=(*SERVE, "53", "--udp"))
    eventually(lambda: web.listens(53, "udp"), "the container's server")
    return Scene(node.host, ["--netns", web.path], [Watched(web.name, web, PUBLISHED)],
                 asks(outside, "192.0.2.1", 5353, "--udp"))


@network("podman-bridge", "podman with netavark: two containers of one network")
def podman_bridge(node):
    podman = Podman(node)
    server = podman.container("server", command=(*SERVE, "80"))
    client = podman.container("client")
    eventually(lambda: server.listens(80), "the container's server")
    return Scene(node.host, ["--netns", server.path, "--netns", client.path],
                 [Watched(server.name, server, BRIDGED), Watched(client.name, client, BRIDGED, receives="answers")],
                 asks(client, podman.address(server), 80))


@network("podman-restart", "podman with netavark: restarted in the middle, with another namespace")
def podman_restart(node):
    return replaced(node, lambda podman, name: podman.run("restart", "-t", "0", name))


@network("podman-same-name", "podman with netavark: another container of the same name in the middle")
def podman_same_name(node):
    def replace(podman, name):
        podman.run("rm", "-f", "-t", "0", name)
        podman.container("web", "-p", "8080:80", command=(*SERVE, "80"))

    return replaced(node, replace)


def replaced(node, replace):
    podman, outside = Podman(node), node.outside()
    web = podman.container("web", "-p", "8080:80", command=(*SERVE, "80"))
    eventually(lambda: web.listens(80), "the container's server")

    def load():
        first = outside.ask("192.0.2.1", 8080, "--requests", REQUESTS)
        replace(podman, web.name)
        web.path = podman.space(web.name).path
        eventually(lambda: web.listens(80), "the container's server, again")
        time.sleep(2)  # it is picked up within a second
        second = outside.ask("192.0.2.1", 8080, "--requests", REQUESTS)
        return {key: first[key] + second[key] for key in ("requests", "answers")}

    # The devices of two namespaces, one of which is gone: only the load knows how many came.
    return Scene(node.host, ["--container", web.name], [Watched(web.name, web, PUBLISHED, devices_count=False)], load)


# ---- docker

class Docker:
    """A daemon with everything of its own, on the node's host."""

    def __init__(self, node):
        need("dockerd", "docker", "containerd", "runc")
        self.node, self.folder = node, node.folder / "docker"
        self.folder.mkdir()
        daemon = node.host.start(
            "dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile",
            self.folder / "pid", "--host", f"unix://{self.folder}/socket", "--storage-driver", "vfs", "--config-file",
            self._configuration(), "--bip", "10.77.0.1/16",
        )
        try:
            eventually(lambda: daemon.poll() is not None or self.run("version", check=False).count("Version:") > 1, "dockerd", 60)
        except RuntimeError:
            pass
        if daemon.poll() is not None or not (self.folder / "socket").exists():
            raise Missing(f"dockerd does not run here: {node.said_by(daemon).strip().splitlines()[-1]}")
        tree = busybox_tree(self.folder / "tree")
        run("tar", "-C", tree, "-cf", self.folder / "tree.tar", ".")
        self.run("import", self.folder / "tree.tar", "real-busybox")
        self.names = []
        node.undo(self._clear)

    def _configuration(self):
        (self.folder / "daemon.json").write_text("{}", encoding="utf-8")
        return self.folder / "daemon.json"

    def run(self, *words, **options):
        return self.node.host.run("docker", "--host", f"unix://{self.folder}/socket", *words, timeout=120, **options)

    def container(self, name, *options, command):
        name = f"{self.node.prefix}-{name}"
        self.names.append(name)
        self.run("run", "-d", "--name", name, *options, *sees_this_machine(self.node), "real-busybox", *command)
        pid = self.run("inspect", "-f", "{{.State.Pid}}", name).strip()
        return self.node.of_process(pid, name)

    def _clear(self):
        for name in self.names:
            self.run("rm", "-f", name, check=False)
        # containerd is a process group of its own.
        for file in self.folder.glob("exec/**/*.pid"):
            run("kill", "-9", file.read_text().strip(), check=False)


@network("docker-published", "dockerd: -p 8080:80")
def docker_published(node):
    docker, outside = Docker(node), node.outside()
    web = docker.container("web", "-p", "8080:80", command=(*SERVE, "80"))
    eventually(lambda: web.listens(80), "the container's server")
    return Scene(node.host, ["--netns", web.path], [Watched(web.name, web, PUBLISHED)], asks(outside, "192.0.2.1", 8080))


# ---- CNI plugins, by hand

class Cni:
    """Calls plugins as a runtime does: configuration on stdin, the rest in the environment."""

    FOLDER = "/usr/lib/cni"

    def __init__(self, node):
        if not pathlib.Path(self.FOLDER, "bridge").exists():
            raise Missing("containernetworking-plugins is not installed")
        self.node = node

    def add(self, space, plugins, capabilities=None, device="eth0"):
        """Runs a chain of plugins for a namespace; the result of the last."""
        result = None
        for plugin in plugins:
            configuration = {"cniVersion": "0.4.0", "name": self.node.prefix, **plugin}
            if configuration.get("ipam", {}).get("type") == "host-local":
                configuration["ipam"]["dataDir"] = str(self.node.folder / "ipam")
            if result is not None:
                configuration["prevResult"] = result
            if capabilities and configuration.get("capabilities"):
                configuration["runtimeConfig"] = capabilities
            said = self._call("ADD", space, device, configuration)
            result = json.loads(said) if said.strip() else result
            self.node.undo(self._call, "DEL", space, device, configuration)
        return result

    def _call(self, command, space, device, configuration):
        environment = {**os.environ, "CNI_COMMAND": command, "CNI_CONTAINERID": space.name, "CNI_NETNS": space.path,
                       "CNI_IFNAME": device, "CNI_PATH": self.FOLDER, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        return self.node.host.run(f"{self.FOLDER}/{configuration['type']}", text=json.dumps(configuration), env=environment,
                                  check=command == "ADD")


def address_of(result):
    return result["ips"][0]["address"].split("/")[0]


IPAM = {"type": "host-local", "ranges": [[{"subnet": "10.22.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
CNI_BRIDGE = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": IPAM}


@network("cni-bridge", "CNI bridge: two pods")
def cni_bridge(node):
    cni = Cni(node)
    server, client = node.namespace("pod1"), node.namespace("pod2")
    address = address_of(cni.add(server, [CNI_BRIDGE]))
    cni.add(client, [CNI_BRIDGE])
    return both_ends(node, server, client, address, 80)


@network("cni-portmap", "CNI bridge and portmap: 8080 to 80", ci=True)
def cni_portmap(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    cni.add(pod, [CNI_BRIDGE, {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}],
            {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, PUBLISHED)], asks(outside, "192.0.2.1", 8080))


@network("cni-ptp", "CNI ptp")
def cni_ptp(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    address = address_of(cni.add(pod, [{"type": "ptp", "ipMasq": False, "ipam": IPAM}]))
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, ROUTED)], asks(outside, address, 80))


ON_UPLINK = {"type": "host-local", "ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.10"}]]}


@network("cni-macvlan", "CNI macvlan on the node's uplink", ci=True)
def cni_macvlan(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    address = address_of(cni.add(pod, [{"type": "macvlan", "master": "up0", "mode": "bridge", "ipam": ON_UPLINK}]))
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, OWN_DEVICE)],
                 asks(outside, address, 80))


@network("cni-ipvlan", "CNI ipvlan on the node's uplink", machine=["ipvlan"], programs=["/usr/lib/cni"])
def cni_ipvlan(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    address = address_of(cni.add(pod, [{"type": "ipvlan", "master": "up0", "mode": "l2", "ipam": ON_UPLINK}]))
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, OWN_DEVICE)],
                 asks(outside, address, 80, requests=1000))


@network("cni-bandwidth", "CNI bridge and bandwidth: a token bucket each way, one of them at an ifb", ci=True)
def cni_bandwidth(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    rates = {"ingressRate": 10**9, "ingressBurst": 10**8, "egressRate": 10**9, "egressBurst": 10**8}
    address = address_of(cni.add(pod, [CNI_BRIDGE, {"type": "bandwidth", **rates}]))
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, PUBLISHED)], asks(outside, address, 80))


@network("cni-host-device", "CNI host-device: the uplink itself is the pod's")
def cni_host_device(node):
    cni, outside, pod = Cni(node), node.outside(), node.namespace("pod")
    wire = node.namespace("wire")
    node.veth(node.host, "dev0", wire, "eth0")
    wire.address("eth0", "198.51.100.2/24")
    cni.add(pod, [{"type": "host-device", "device": "dev0",
                   "ipam": {"type": "static", "addresses": [{"address": "198.51.100.1/24"}]}}])
    pod.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, OWN_DEVICE)],
                 asks(wire, "198.51.100.1", 80))


# ---- rootless

@network("slirp4netns", "a tap, and a network in user space behind it (rootless podman)", ci=True)
def slirp4netns(node):
    need("slirp4netns")
    outside, pod = node.outside(), node.namespace("pod")
    holder = pod.start("sleep", "3600")
    eventually(lambda: pathlib.Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n", "a process to join")
    slirp = node.host.start("slirp4netns", "--configure", "--mtu=65520", "--disable-dns", holder.pid, "tap0")
    eventually(lambda: "tap0" in pod.ip("-br", "link") and "10.0.2.100" in pod.ip("addr") or slirp.poll() is not None, "tap0")
    if slirp.poll() is not None:
        raise Missing(f"slirp4netns does not run here: {node.said_by(slirp).strip()}")
    outside.serve(80)
    return Scene(node.host, netns(pod), [watched(pod, TAP, device="tap0", receives="answers")],
                 asks(pod, "192.0.2.2", 80))


# ---- machines and nodes within the node

@network("nspawn", "systemd-nspawn --network-veth")
def nspawn(node):
    need("systemd-nspawn")
    tree = busybox_tree(node.folder / "machine")
    (tree / "etc/os-release").write_text("ID=none\n", encoding="utf-8")
    name = f"{node.prefix}-m"
    binds = [f"--bind-ro={path}" for path in ("/usr", "/lib", "/lib64")]
    machine = node.host.start(
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--network-veth", "--directory", tree, "--machine", name,
        *binds, f"--bind-ro={pathlib.Path(__file__).resolve().parent}:/work", *SERVE, "80",
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"},
    )
    device = f"ve-{name}"[:15]

    def inside():
        for pid in run("pgrep", "-P", machine.pid, check=False).split():
            if "talk.py" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        return None

    eventually(lambda: machine.poll() is not None or inside(), "the machine's server")
    if machine.poll() is not None:
        raise Missing(f"systemd-nspawn does not run here: {node.said_by(machine).strip().splitlines()[-1]}")
    space = node.of_process(inside(), name)
    device = next(line.split("@")[0] for line in node.host.ip("-br", "link").splitlines() if line.startswith("ve-"))
    space.address("host0", "10.66.0.2/24")
    space.ip("route", "add", "default", "via", "10.66.0.1")
    node.host.address(device, "10.66.0.1/24")
    outside = node.outside()
    eventually(lambda: space.listens(80), "the machine's server")
    return Scene(node.host, ["--netns", space.path], [Watched(name, space, ROUTED, device="host0")],
                 asks(outside, "10.66.0.2", 80))


@network("nested", "kind's shape: pods of a node that is itself a container", ci=True)
def nested(node):
    inner = node.bridged(1, bridge=_bridge(node), name="inner")
    node.bridge("brp0", "10.244.0.1/16", host=inner)
    server = node.bridged(2, "brp0", "10.244", host=inner, name="pod1")
    client = node.bridged(3, "brp0", "10.244", host=inner, name="pod2")
    server.serve(80)
    return Scene(node.host, netns(server), [watched(server, FOREIGN)], asks(client, "10.244.0.3", 80))


def _bridge(node):
    node.bridge()
    return "br0"


@network("nested-40", "40 containers in nested namespaces, with the same interface numbers in each")
def nested_40(node):
    node.bridge()
    pods = []
    for outer in range(4):
        inner = node.bridged(outer + 1, name=f"inner{outer}")
        node.bridge(f"brn{outer}", "10.244.0.1/16", host=inner)
        for number in range(10):
            pods.append(node.bridged(number + 1, f"brn{outer}", "10.244", host=inner, name=f"n{outer}p{number}"))
        for space in (inner, *pods[-10:]):
            space.set(net__ipv6__conf__all__disable_ipv6=1)  # its multicasts are for all pods
    server, client = pods[0], pods[1]
    server.serve(80)
    return Scene(node.host, netns(*pods), [watched(server, FOREIGN), watched(client, FOREIGN, receives="answers"),
                                           *(watched(pod, {"out": (), "in": ()}, receives="nothing") for pod in pods[2:])],
                 asks(client, "10.244.0.2", 80, requests=2500))


# ---- between nodes, and redirected

@network("vxlan", "two nodes and a VXLAN between them", ci=True)
def vxlan(node):
    far = node.namespace("far")
    node.veth(node.host, "up0", far, "up0")
    for host, number, other in ((node.host, 1, 2), (far, 2, 1)):
        host.address("up0", f"192.0.2.{number}/24")
        host.ip("link", "add", "vx0", "type", "vxlan", "id", 1, "remote", f"192.0.2.{other}", "dstport", 4789, "dev", "up0")
        host.address("vx0", f"10.244.0.{number}/24")
        host.forwards()
        host.ip("route", "add", "default", "via", f"192.0.2.{other}")
    near, away = node.routed(1), node.routed(2, host=far)
    node.host.ip("route", "add", "10.9.2.0/24", "via", "10.244.0.2")
    far.ip("route", "add", "10.9.1.0/24", "via", "10.244.0.1")
    near.serve(80)
    promises = {"out": (*ROUTED["out"], "encap"), "in": ("decap", *ROUTED["in"])}
    return Scene(node.host, netns(near), [watched(near, promises)], asks(away, "10.9.1.2", 80), losses=[far])


@network("tc-redirect", "tc redirects what comes from a container into the uplink, and back", ci=True)
def tc_redirect(node):
    outside, container = node.outside(), node.routed()
    # At the same network as the outside, without the host's routing in between.
    container.ip("addr", "flush", "dev", "eth0")
    container.address("eth0", "192.0.2.9/24")
    for device, other in (("v1", "up0"), ("up0", "v1")):
        node.host.run("tc", "qdisc", "add", "dev", device, "ingress")
        node.host.run("tc", "filter", "add", "dev", device, "parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0", "0",
                      "action", "mirred", "egress", "redirect", "dev", other)
    container.serve(80)
    promises = {"out": ("qdisc", "device_xmit", "backlog"), "in": ("qdisc", "device_xmit", "backlog", *SOCKET)}
    return Scene(node.host, netns(container), [watched(container, promises)], asks(outside, "192.0.2.9", 80))


@network("ifb", "tc redirects what comes from a container to an ifb with a token bucket")
def ifb(node):
    outside, container = node.outside(), node.routed()
    node.host.ip("link", "add", "ifb7", "type", "ifb")
    node.host.ip("link", "set", "ifb7", "up")
    node.host.run("tc", "qdisc", "add", "dev", "ifb7", "root", "tbf", "rate", "1gbit", "burst", "1mb", "latency", "25ms")
    node.host.run("tc", "qdisc", "add", "dev", "v1", "ingress")
    node.host.run("tc", "filter", "add", "dev", "v1", "parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0", "0",
                  "action", "mirred", "egress", "redirect", "dev", "ifb7")
    container.serve(80)
    return Scene(node.host, netns(container), [watched(container, ROUTED)], asks(outside, "10.9.1.2", 80))


# ---- real programs

def server_on_nft_dnat(node, server, inside, load, outer=8080):
    """A real server behind a published port of another number."""
    outside, container = node.outside(), node.routed()
    node.host.nft(f"""table ip n {{ chain p {{ type nat hook prerouting priority -100;
        meta l4proto {{ tcp, udp }} th dport {outer} dnat to 10.9.1.2:{inside}; }}; }}""")
    server(container)
    return Scene(node.host, netns(container), [watched(container, ROUTED)], lambda: load(outside, "192.0.2.1", outer))


@network("nginx-short", "nginx, asked by ab: 1,000 connections of HTTP/1.0", ci=True)
def nginx_short(node):
    return server_on_nft_dnat(node, loads.nginx, 80, loads.ab)


@network("nginx-keep-alive", "nginx, asked by wrk over 4 connections that stay")
def nginx_keep_alive(node):
    return server_on_nft_dnat(node, loads.nginx, 80, loads.wrk)


@network("nginx-curl", "nginx, asked by curl")
def nginx_curl(node):
    return server_on_nft_dnat(node, loads.nginx, 80, loads.curl)


@network("redis", "redis-server, asked by redis-benchmark", ci=True)
def redis(node):
    return server_on_nft_dnat(node, loads.redis, 6379, loads.redis_benchmark)


@network("postgresql", "postgresql, asked by pgbench -S")
def postgresql(node):
    return server_on_nft_dnat(node, loads.postgresql, 5432, loads.pgbench)


@network("dnsmasq", "dnsmasq, asked over UDP", ci=True)
def dnsmasq(node):
    return server_on_nft_dnat(node, loads.dnsmasq, 53, loads.dns, outer=5353)


@network("dnsmasq-six", "dnsmasq, asked over UDP and IPv6")
def dnsmasq_six(node):
    outside, container = node.outside(), node.routed()
    node.host.nft("""table ip6 n { chain p { type nat hook prerouting priority -100;
        udp dport 5353 dnat to [2001:db8:9:1::2]:53; }; }""")
    loads.dnsmasq(container)
    return Scene(node.host, netns(container), [watched(container, ROUTED)],
                 lambda: loads.dns(outside, "2001:db8:1::1", 5353))
