# SPDX-License-Identifier: GPL-2.0-only
"""Stock kernels from Debian's suites, unpacked into a cache of the user's own; no root, nothing of the machine's changed.

apt itself fetches them and checks their signatures, under a private configuration. The mirror is the one that the
machine's own apt uses.
"""
import dataclasses
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from .trouble import Trouble

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
METAPACKAGE = "linux-image-cloud-amd64"  # names the current image of its suite


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a kernel comes from."""

    suite: str
    security: bool = False  # from the security archive


AVAILABLE = {
    "5.10": Source("bullseye-security", security=True),
    "6.1": Source("bookworm"),
    "6.12": Source("trixie"),
    "newest": Source("trixie-backports"),
}
DEFAULT = "6.12"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted: its image, and its modules below lib/modules/RELEASE."""

    release: str
    image: pathlib.Path
    modules: pathlib.Path


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "vethtrace"


def fetch(name):
    """The kernel of that name, from the cache or else from Debian's archive."""
    if name not in AVAILABLE:
        raise Trouble(f"there is no kernel {name}", "choose from " + ", ".join(AVAILABLE))
    target = cache() / "kernels" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once: the second finds it fetched
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as work:
                unpacked = _download(AVAILABLE[name], pathlib.Path(work))
                unpacked.rename(target)
    return own(_only(target, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "usr/lib/linux/vmlinuz-*"), _only(target, "lib/modules/*", "usr/lib/modules/*"))


def _only(unpacked, *patterns):
    for pattern in patterns:
        for path in unpacked.glob(pattern):
            return path
    raise Trouble(f"{unpacked} has no {patterns[0]}", "remove that folder to fetch the kernel again")


def own(image, modules):
    """A kernel given by its files; says what can be known before the boot."""
    release = _release_of(image)
    if not modules.is_dir():
        raise Trouble(f"{modules}: no such folder", "--modules wants the kernel's lib/modules/RELEASE")
    if not (modules / "kernel").is_dir():
        raise Trouble(f"{modules}: has no modules in it (no folder `kernel`)", "give lib/modules/RELEASE itself")
    if modules.name != release:
        raise Trouble(f"{image} is {release}, but {modules} holds the modules of {modules.name}")
    config = image.with_name(image.name.replace("vmlinuz", "config", 1))
    if config.exists() and config != image and "CONFIG_DEBUG_INFO_BTF=y" not in config.read_text():
        raise Trouble(f"{image} was built without BTF (CONFIG_DEBUG_INFO_BTF), and vethtrace needs it")
    return Kernel(release, image, modules)


def _release_of(image):
    """From the header of an x86 boot image (Documentation/arch/x86/boot.rst): HdrS at 0x202, version at 0x20e."""
    try:
        with open(image, "rb") as file:
            start = file.read(0x10000)
    except OSError as error:
        raise Trouble(f"{image}: {error.strerror}") from error
    if start[0x202:0x206] != b"HdrS":
        raise Trouble(f"{image} is not a boot image for x86 (bzImage); other architectures cannot be booted here")
    at = 0x200 + int.from_bytes(start[0x20E:0x210], "little")
    return start[at : start.index(b"\0", at)].split()[0].decode()


def _download(source, work):
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Trouble(f"{tool} is missing: kernels are fetched on Debian", "elsewhere use --kernel-image and --modules")
    if not KEYRING.exists():
        raise Trouble(f"{KEYRING} is missing", "install debian-archive-keyring")
    apt = _private_apt(source, work)
    _quietly([*apt, "update"], f"suite {source.suite} could not be read")
    packages = _current_packages(apt)
    fetched = work / "packages"
    fetched.mkdir()
    _quietly([*apt, "download", *packages], f"{packages[0]} could not be fetched", directory=fetched)
    unpacked = work / "unpacked"
    for package in fetched.glob("*.deb"):
        _quietly(["dpkg-deb", "-x", package, unpacked], f"{package.name} could not be unpacked")
    return unpacked


def _private_apt(source, work):
    """apt-get with lists, cache and sources of its own."""
    for folder in ("lists/partial", "archives/partial", "parts"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources").write_text(f"deb [signed-by={KEYRING}] {_mirror(source.security)} {source.suite} main\n")
    settings = {
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work,
        "Dir::Etc::SourceList": work / "sources",
        "Dir::Etc::SourceParts": work / "parts",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": work / "parts",
        "APT::Sandbox::User": "",
        "APT::Architecture": "amd64",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]


def _mirror(security):
    """The archive that the machine's own apt uses."""
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], capture_output=True, text=True, check=False
    ).stdout.split()
    for site in sites:
        if site.endswith("security") == security:
            return site
    raise Trouble("the machine's apt has no Debian mirror to fetch kernels from", "use --kernel-image and --modules")


def _current_packages(apt):
    """The image that the metapackage depends on and the packages that it is split in since 7.x: binary, modules."""
    listed = _quietly(
        ["apt-cache", *apt[1:], "depends", "--recurse", "--important", METAPACKAGE], f"{METAPACKAGE} is not in the suite"
    )
    packages = [line for line in listed.splitlines() if re.fullmatch(r"linux-(image|binary|modules)-\d\S*", line)]
    if not packages:
        raise Trouble(f"{METAPACKAGE} names no image")
    return packages


def _quietly(command, what, directory=None):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Trouble(f"{what}: {lines[-1]}")
    return done.stdout
