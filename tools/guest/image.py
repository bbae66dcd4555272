# SPDX-License-Identifier: GPL-2.0-only
"""The guest's root: an initramfs of busybox, kernel modules, and the programs to run with their libraries."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

from .trouble import Trouble

HERE = pathlib.Path(__file__).resolve().parent

# systemd as the first process, with its journal; of its own units those alone without which no service starts.
SYSTEMD_PROGRAMS = ("/lib/systemd/systemd", "/lib/systemd/systemd-journald", "/bin/systemctl", "/bin/journalctl")
SYSTEMD_LATER_PROGRAMS = ("/lib/systemd/systemd-executor",)  # starts services since 255
SYSTEMD_UNITS = """
    multi-user.target basic.target sysinit.target shutdown.target sockets.target timers.target paths.target slices.target
    local-fs.target swap.target systemd-journald.service systemd-journald.socket
""".split()

# What the labs and their tests use, where the kernel has it as a module; what a module needs comes along.
MODULES = """
    veth ipvlan ipvtap macvlan netkit bridge br_netfilter dummy ifb vxlan
    sch_netem sch_fq sch_fq_codel sch_ingress sch_tbf cls_u32 cls_matchall act_mirred
    nf_tables nft_chain_nat nft_ct nft_masq nft_nat nft_limit nft_counter nft_compat nf_nat nf_conntrack nft_numgen
    tcp_bbr af_packet
""".split()


class Image:
    """Gathers files in a temporary folder and packs them; the folder goes when it is left."""

    def __init__(self, kernel, modules):
        self.kernel = kernel
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vethtrace-vm-"))
        self.root = self.folder / "root"
        for path in ("bin", "proc", "sys", "dev", "tmp", "run", "etc", "work"):
            (self.root / path).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if not busybox or _libraries(pathlib.Path(busybox)):
            raise Trouble("busybox is missing, or not a static one", "install busybox-static (tools/install vm does)")
        shutil.copy(busybox, self.root / "bin/busybox")
        shutil.copy(HERE / "init.sh", self.root / "init")
        (self.root / "init").chmod(0o755)
        shutil.copy(HERE / "command.sh", self.root / "etc/command.sh")
        self._add_modules([*MODULES, *modules], wanted=modules)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_program(self, path, inside):
        """A program and the libraries that it needs, at the paths where it looks for them."""
        if not path.is_file():
            raise Trouble(f"{path}: no such program")
        self._copy(path, inside)
        self._strip(inside)
        for library in _libraries(path):
            self._copy(library, str(library))

    def add_systemd(self):
        """The machine's own, as the guest's first process; the command is its last service."""
        for path in map(pathlib.Path, SYSTEMD_PROGRAMS):
            if not path.is_file():
                raise Trouble(f"{path}: no such program", "install systemd; it need not run on this machine")
            self.add_program(path, str(path))
        for path in map(pathlib.Path, SYSTEMD_LATER_PROGRAMS):
            if path.is_file():
                self.add_program(path, str(path))
        for unit in SYSTEMD_UNITS:
            self._copy(pathlib.Path("/lib/systemd/system") / unit, f"/lib/systemd/system/{unit}")
        units = self.root / "etc/systemd/system"
        units.mkdir(parents=True)
        shutil.copy(HERE / "systemd/command.service", units)

    def bring(self, path):
        """A file or folder for the command's directory; programs come with their libraries."""
        if not path.exists():
            raise Trouble(f"{path}: no such file")
        inside = f"/work/{path.name}"
        if path.is_dir():
            shutil.copytree(path, f"{self.root}{inside}")
        elif os.access(path, os.X_OK):
            self.add_program(path, inside)
        else:
            self._copy(path, inside)

    def set_command(self, words, settle):
        (self.root / "etc/command").write_text(shlex.join(words) + "\n")
        (self.root / "etc/settle").write_text(f"{settle}\n")

    def finish(self):
        """Packs it all; the path of the archive."""
        packed = self.folder / "initramfs"
        names = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        with open(packed, "wb") as archive:
            subprocess.run(
                ["cpio", "--quiet", "-o", "-H", "newc", "--reproducible", "-R", "0:0", "-0"],
                input="\0".join(names).encode(), stdout=archive, cwd=self.root, check=True,
            )
        return packed

    def _copy(self, path, inside):
        target = pathlib.Path(f"{self.root}{inside}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path, target)

    def _strip(self, inside):
        """Debug information is most of a program, and unpacking it is most of a short boot."""
        strip = shutil.which("strip")
        if strip:
            subprocess.run([strip, "--strip-debug", f"{self.root}{inside}"], check=False, capture_output=True)

    def _add_modules(self, names, wanted):
        available = {_module_name(path): path for path in sorted(self.kernel.modules.glob("kernel/**/*.ko*"))}
        builtin = {_module_name(pathlib.Path(line)) for line in self._lines("modules.builtin")}
        for name in wanted:
            if name not in available and name not in builtin:
                raise Trouble(f"kernel {self.kernel.release} has no module {name}")
        target = f"/lib/modules/{self.kernel.release}"
        pathlib.Path(f"{self.root}{target}/kernel").mkdir(parents=True)
        todo = [name for name in names if name in available]
        done = set()
        while todo:
            name = todo.pop()
            if name in done or name not in available:
                continue
            done.add(name)
            self._add_module(available[name], target)
            todo += _needed_by(pathlib.Path(f"{self.root}{target}/kernel/{name}.ko"))
        for index in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            if (self.kernel.modules / index).exists():
                self._copy(self.kernel.modules / index, f"{target}/{index}")
        subprocess.run([_tool("depmod"), "-b", self.root, self.kernel.release], check=True, capture_output=True)

    def _add_module(self, path, target):
        """Plain, whatever it is packed with: busybox need not know."""
        plain = pathlib.Path(f"{self.root}{target}/kernel/{_module_name(path)}.ko")
        if path.suffix == ".ko":
            shutil.copy(path, plain)
            return
        unpack = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[path.suffix]
        with open(plain, "wb") as file:
            subprocess.run([_tool(unpack), "-dc", path], stdout=file, check=True)

    def _lines(self, name):
        path = self.kernel.modules / name
        return path.read_text().splitlines() if path.exists() else []


def _tool(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    if not found:
        raise Trouble(f"{name} is missing", "tools/install vm brings it")
    return found


def _module_name(path):
    return path.name.split(".ko")[0].replace("-", "_")


def _needed_by(module):
    info = subprocess.run([_tool("modinfo"), "-F", "depends", module], capture_output=True, text=True, check=True)
    return [name.replace("-", "_") for name in info.stdout.strip().split(",") if name]


def _libraries(program):
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", listing.stdout)]
