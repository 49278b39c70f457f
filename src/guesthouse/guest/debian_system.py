"""Image `debian`: what it is made of, from packages to the disk that its installer reads. Bytes to bytes.

The kernel is not installed as a package: the host starts it, so an upgrade inside could only mislead. Its modules are,
those for devices that a virtual machine may have.
"""

import io
import posixpath
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import cpio, deb, debian_scripts
from guesthouse.guest.agent import unit
from guesthouse.guest.debian_packages import Candidate, PackageList
from guesthouse.guest.debian_resolver import install_order, resolve
from guesthouse.guest.initramfs import busybox_entries, module_entries
from guesthouse.guest.kernel_module import is_module
from guesthouse.guest.tiny import applet_names

RECIPE = 3
"""Counts up whenever the same packages would give another image, so that stored images are rebuilt."""

PACKAGES = (
    *("systemd-sysv", "systemd-resolved", "systemd-timesyncd", "libpam-systemd", "udev", "dbus", "kmod", "e2fsprogs"),
    *("apt", "debian-archive-keyring", "ca-certificates", "iproute2", "iputils-ping", "netbase", "openssh-server"),
    *("procps", "less", "nano", "zstd"),
)
"""Beside the essential and required ones: what the system, its network and its user can't do without."""

CORE = ("base-passwd", "base-files", "dpkg", "libc6", "perl-base", "mawk", "debconf")
"""Installed one by one before all others: their scripts make what other packages' scripts take for granted."""

AGENT = unit.EXECUTABLE.lstrip("/")
ENABLED = ("systemd-networkd.service", "ssh.socket", posixpath.basename(unit.UNIT))
DISABLED = ("ssh.service", "systemd-networkd-wait-online.service")
"""sshd is started by its first visitor; a machine without a network does not wait for one."""

BOOT_MODULES = ("virtio_mmio", "virtio_blk", "ext4")
INSTALL_MODULES = (*BOOT_MODULES, "isofs")
OPTIONAL_MODULES = ("crc32c_generic",)
BOOT_COMMANDS = ("sh", "mount", "umount", "insmod", "findfs", "usleep", "poweroff", "switch_root")
MKE2FS_PACKAGES = ("e2fsprogs", "libext2fs2t64", "libcom-err2", "libblkid1", "libuuid1", "libc6")
LIBRARY_FOLDER = "usr/lib/riscv64-linux-gnu"

_LIBRARY = re.compile(
    rf"{LIBRARY_FOLDER}/((?:libext2fs|libcom_err|libblkid|libuuid|libe2p|libc|ld-linux)[^/]*\.so\.\d+)"
)
_MODULE = re.compile(r"usr/lib/modules/[^/]+/kernel/(.*/)")
_HARDWARE = ("drivers/", "sound/")
"""Folders of modules of which a virtual machine needs little: of these, only what follows."""

_PRESENT = (
    *("drivers/cdrom/", "drivers/char/", "drivers/char/hw_random/", "drivers/connector/", "drivers/crypto/virtio/"),
    *("drivers/dax/", "drivers/gpu/drm/", "drivers/gpu/drm/virtio/", "drivers/input/", "drivers/input/mouse/"),
    *("drivers/input/serio/", "drivers/input/keyboard/", "drivers/net/", "drivers/net/bonding/"),
    *("drivers/net/ipvlan/", "drivers/net/netdevsim/", "drivers/net/ovpn/", "drivers/net/ppp/", "drivers/net/team/"),
    *("drivers/net/vxlan/", "drivers/net/wireguard/", "drivers/nvdimm/", "drivers/rtc/", "drivers/scsi/"),
    *("drivers/uio/", "drivers/vfio/", "drivers/vhost/", "drivers/virtio/", "drivers/watchdog/"),
    *("sound/", "sound/core/", "sound/virtio/"),
)
_PRESENT_WHOLE = ("drivers/block/", "drivers/md/", "drivers/target/")
_ABSENT_NETS = frozenset(
    (
        "atm",
        "ax25",
        "bluetooth",
        "can",
        "ieee802154",
        "lapb",
        "mac80211",
        "mac802154",
        "netrom",
        "nfc",
        "rose",
        "wireless",
    )
)


class Plan(msgspec.Struct, frozen=True):
    """The packages of the system in the order of their installation, and which of them are unpacked by hand first."""

    packages: tuple[Candidate, ...]
    essential: frozenset[str]
    required: frozenset[str]


def choose(packages: PackageList, names: Sequence[str] = PACKAGES) -> Plan:
    """The system that these packages make with the essential and required ones; raises UserError where they can't."""
    essential = [candidate.name for candidate in packages.essentials()]
    required = [candidate.name for candidate in packages.of_priority("required")]
    chosen = resolve(packages, [*essential, *required, *names])
    own = resolve(packages, essential)
    base = resolve(packages, [*essential, *required])
    return Plan(
        tuple(install_order(chosen)),
        frozenset(candidate.name for candidate in own),
        frozenset(candidate.name for candidate in base),
    )


def lists_of(plan: Plan) -> dict[str, bytes]:
    """The small files of the installer's disk: which package files to take in which step, which units to enable."""
    names = {candidate.name: file_name(number) for number, candidate in enumerate(plan.packages)}
    order = [candidate.name for candidate in plan.packages]
    core = [name for name in CORE if name in names]
    first = [name for name in order if name in plan.required and name not in core]
    second = [name for name in order if name not in plan.required]
    groups = {
        "essentl.txt": [name for name in order if name in plan.essential],
        "core.txt": core,
        "first.txt": first,
        "second.txt": second,
    }
    lists = {file: "".join(f"{names[name]} {name}\n" for name in group) for file, group in groups.items()}
    lists["enable.txt"] = "".join(f"{name}\n" for name in ENABLED)
    lists["disable.txt"] = "".join(f"{name}\n" for name in DISABLED)
    return {name: text.encode() for name, text in lists.items()}


def file_name(number: int) -> str:
    """The file of the n-th package on the installer's disk."""
    return f"p{number:04}.deb"


def wanted_of_kernel(path: str) -> bool:
    """Whether the image may need this file of the kernel package."""
    if is_module(path):
        match = _MODULE.match(path)
        return match is None or _may_be_there(match[1])
    return path.startswith("boot/vmlinu") or "/modules.builtin" in path or path.endswith("/modules.order")


def _may_be_there(folder: str) -> bool:
    """Whether a virtual machine may have what the modules in a folder of the kernel are for."""
    if folder.startswith("net/"):
        return folder.split("/")[1] not in _ABSENT_NETS
    return not folder.startswith(_HARDWARE) or folder in _PRESENT or folder.startswith(_PRESENT_WHOLE)


def kernel_of(files: Mapping[str, bytes]) -> bytes:
    """The kernel among a kernel package's files; raises UserError where there is none."""
    for path, data in files.items():
        if path.startswith("boot/"):
            return data
    raise UserError("The kernel package holds no kernel under /boot; this program knows no such package.")


def module_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What of a kernel package's files goes onto the disk."""
    return {path: data for path, data in files.items() if not path.startswith("boot/")}


def boot_initramfs(files: Mapping[str, bytes], busybox: bytes) -> bytes:
    """The initramfs that hands over to the installed system."""
    entries = busybox_entries(busybox, BOOT_COMMANDS)
    entries += module_entries(files, BOOT_MODULES, OPTIONAL_MODULES)
    return cpio.pack([*entries, cpio.file("init", debian_scripts.BOOT.encode(), 0o755)])


def install_initramfs(files: Mapping[str, bytes], busybox: bytes, packages: Iterable[bytes]) -> bytes:
    """The initramfs that installs; `packages` are those of MKE2FS_PACKAGES."""
    entries = busybox_entries(busybox, (name for name in applet_names(busybox) if name != "mke2fs"))
    entries += module_entries(files, INSTALL_MODULES, OPTIONAL_MODULES)
    entries += [cpio.directory(name) for name in ("target", "media", "etc", "lib", "usr", "usr/sbin", "usr/lib")]
    entries.append(cpio.directory(LIBRARY_FOLDER))
    for package in packages:
        for path, data in deb.read_files(package, _wanted_of_mke2fs).items():
            if match := _LIBRARY.match(path):
                entries.append(cpio.file(f"{LIBRARY_FOLDER}/{match[1]}", data, 0o755))
                if match[1].startswith("ld-linux"):
                    entries.append(cpio.symlink(f"lib/{match[1]}", f"/{LIBRARY_FOLDER}/{match[1]}"))
            else:
                entries.append(cpio.file(path, data, 0o755))
    return cpio.pack([*entries, cpio.file("init", debian_scripts.INSTALL.encode(), 0o755)])


def _wanted_of_mke2fs(path: str) -> bool:
    return path in ("usr/sbin/mke2fs", "etc/mke2fs.conf") or bool(_LIBRARY.match(path))


def added_files(mirrors: Mapping[str, Sequence[str]], agent: bytes) -> dict[str, bytes]:
    """The files that Guesthouse adds, by path: the agent, settings, and apt's list of mirrors with their suites."""
    stanzas = [
        debian_scripts.SOURCE.format(mirror=mirror, suites=" ".join(suites)) for mirror, suites in mirrors.items()
    ]
    sources = "\n".join(stanzas)
    texts = {"etc/apt/sources.list.d/debian.sources": sources, unit.UNIT.lstrip("/"): unit.UNIT_TEXT}
    return {path: text.encode() for path, text in (debian_scripts.FILES | texts).items()} | {AGENT: agent}


def pack_tar(files: Mapping[str, bytes], executable: Iterable[str] = ()) -> bytes:
    """A tar archive of these files, owned by root, the same bytes for the same content."""
    programs = frozenset(executable)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mode = 0o755 if path in programs else 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
