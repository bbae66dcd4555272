# SPDX-License-Identifier: GPL-2.0-only
"""The virtual machine: QEMU without a network, four serial lines, and an eye on everything that can go wrong."""
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from .trouble import Trouble

QEMU = "qemu-system-x86_64"
POLL_SECONDS = 0.02
BOOT_SECONDS = 240
KVM_BOOT_SECONDS = 20
CONSOLE_LINES = 15  # shown when the guest went wrong

# What the kernel writes when something is broken in it.
SPLATS = re.compile(
    r"Kernel panic|BUG:|Oops|WARNING: |INFO: task .* blocked|rcu.*(stall|kthread starved)|soft lockup|hard LOCKUP"
    r"|general protection fault|possible circular locking|KASAN|UBSAN|refcount_t:|unregister_netdevice: waiting|Call Trace:"
)


class Splat(Trouble):
    """The guest's kernel says that something is broken in it."""


class TimedOut(Trouble):
    """The command did not end in time."""


def check_tools():
    """Names the package of each program that is missing."""
    packages = {QEMU: "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "ldd": "libc-bin"}
    missing = [package for tool, package in packages.items() if not shutil.which(tool)]
    if not shutil.which("depmod", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"):
        missing.append("kmod")
    if missing:
        raise Trouble("these packages are missing: " + ", ".join(missing), "tools/install vm installs them")


class Machine:
    def __init__(self, kernel, initramfs, cpus, memory_mib, deterministic, append):
        self.kernel = kernel
        self.initramfs = initramfs
        self.cpus = cpus
        self.memory_mib = memory_mib
        self.deterministic = deterministic
        self.append = append

    def shell(self):
        """A shell on the terminal; its exit ends the machine."""
        command = self._qemu("tcg", "vethtrace.shell") + ["-serial", "mon:stdio"]
        return subprocess.run(command, check=False).returncode

    def run(self, timeout, out=None, console=None):
        """Runs the command of the initramfs, passes its output on as it comes, and returns its exit status."""
        deadline = time.monotonic() + timeout
        if not self.deterministic and os.access("/dev/kvm", os.W_OK):
            session = Session(self._qemu("kvm"), deadline, KVM_BOOT_SECONDS)
            try:
                return session.run(out, console)
            except BootFailed:
                print("tools/vm: /dev/kvm does not work here, going on without it", file=sys.stderr)
        return Session(self._qemu("tcg"), deadline, BOOT_SECONDS).run(out, console)

    def _qemu(self, accelerator, *append):
        arguments = ["console=ttyS0", "panic=-1", "loglevel=5", "nokaslr", "8250.nr_uarts=4", *append, self.append]
        command = [
            QEMU, "-no-user-config", "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot",
            # With a thread for each CPU, one of them can meet code that another is patching (seen as an Oops at a tracepoint).
            "-m", str(self.memory_mib), "-smp", str(self.cpus),
            "-accel", "tcg,thread=single" if accelerator == "tcg" else accelerator,
            "-cpu", "host" if accelerator == "kvm" else "max",
            "-kernel", str(self.kernel.image), "-initrd", str(self.initramfs), "-append", " ".join(arguments),
        ]  # fmt: skip
        if self.deterministic:
            # One instruction is one nanosecond, and idle time takes none. Seed and date are the same in every run.
            command += ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01,clock=vm"]
        return command


class BootFailed(Trouble):
    """The guest's first process never said that it runs."""


class Session:
    """One boot. Lines of the guest: see init.sh."""

    def __init__(self, qemu, deadline, boot_seconds):
        self.qemu = qemu
        self.deadline = deadline
        self.boot_deadline = min(deadline, time.monotonic() + boot_seconds)
        self.shown = {"stdout": 0, "stderr": 0}

    def run(self, out, console):
        with tempfile.TemporaryDirectory(prefix="vethtrace-vm-") as folder:
            self.folder = pathlib.Path(folder)
            process = subprocess.Popen(
                self.qemu + self._lines(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            try:
                self._watch(process)
                return self._result(out)
            finally:
                process.kill()
                process.communicate()
                if console:
                    shutil.copy(self.folder / "console", console)

    def _lines(self):
        """Each line with an interrupt of its own: the second pair would share those of the first."""
        arguments = []
        for index, (name, irq) in enumerate((("console", 4), ("stdout", 3), ("stderr", 5), ("progress", 7))):
            (self.folder / name).touch()
            arguments += ["-chardev", f"file,id={name},path={self.folder / name}"]
            arguments += ["-device", f"isa-serial,chardev={name},index={index},irq={irq}"]
        return arguments

    def _watch(self, process):
        """Until the guest has powered itself off."""
        up = False
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            self._pass_on()
            up = up or self._read("progress").startswith(b"up\n")
            if not up and time.monotonic() > self.boot_deadline:
                raise BootFailed("the guest did not boot in time; its console ends with" + self._console_end())
            if time.monotonic() > self.deadline:
                raise TimedOut("the command did not end in time and was stopped")
        self._pass_on()
        said = process.stderr.read().decode(errors="replace").strip()
        if not up and not self._read("progress"):
            raise BootFailed(f"the guest did not boot; {said or 'its console ends with' + self._console_end()}")
        if process.returncode != 0:
            raise Trouble(f"{QEMU}: {said}")

    def _pass_on(self):
        for name, target in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            with open(self.folder / name, "rb") as file:
                file.seek(self.shown[name])
                new = file.read()
            self.shown[name] += len(new)
            if new:
                target.buffer.write(new)
                target.buffer.flush()

    def _result(self, out):
        progress = self._read("progress")
        splat = SPLATS.search(self._read("console").decode(errors="replace"))
        if splat:
            raise Splat(f"the guest's kernel log has `{splat.group()}`; it ends with" + self._console_end())
        found = re.match(rb"up\n(no-btf\n)?begun\nexit (\d+)\nfiles (\d+)\n", progress)
        if not found:
            raise Trouble("the guest ended before its command did; its console ends with" + self._console_end())
        files = progress[found.end() :]
        if len(files) != int(found.group(3)):
            raise Trouble(f"of the files {len(files)} bytes of {int(found.group(3))} arrived")
        if out and files:
            out.mkdir(parents=True, exist_ok=True)
            with tarfile.open(fileobj=io.BytesIO(files)) as archive:
                archive.extractall(out, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(out)
        if found.group(1):
            raise Trouble("this kernel has no BTF (/sys/kernel/btf/vmlinux), and vethtrace needs it")
        return int(found.group(2))

    def _console_end(self):
        lines = self._read("console").decode(errors="replace").splitlines()[-CONSOLE_LINES:]
        return "".join(f"\n  {line}" for line in lines) or " nothing"

    def _read(self, name):
        return (self.folder / name).read_bytes()
