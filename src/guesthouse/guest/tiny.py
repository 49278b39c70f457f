"""Image `tiny`: from Debian's kernel package and static busybox to a kernel and an initramfs, bytes to bytes."""

import re

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import cpio, deb, tiny_init
from guesthouse.guest.kernel_module import is_module, load_order, module_information, module_name

RECIPE = 6
"""Counts up whenever the same packages would give another image, so that stored images are rebuilt."""

SUITE = "trixie"
ARCHITECTURE = "riscv64"
KERNEL_PACKAGE = "linux-image-riscv64"
BUSYBOX_PACKAGE = "busybox-static"
MODULES = ("virtio_mmio", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng")
"""Loaded at every start."""

DISK_MODULES = ("ext4",)
"""Loaded where there is a disk, else on demand: they cost as much as the whole start of the kernel."""

SHARE_MODULES = ("9p", "9pnet_virtio")
"""Loaded on demand, by `mount -t 9p`, where the package has them; until then they stay compressed."""

DEVICE_MODULES = ("vmw_vsock_virtio_transport", "virtio_balloon")
"""Loaded where the machine has such a device."""

OPTIONAL_MODULES = ("crc32c_generic",)
"""ext4 asks for this checksum by its purpose, not by name; later kernels have it built in."""

_DIRECTORIES = (
    ("", "dev etc proc root run sys tmp usr var mnt home"),
    ("usr/", "bin sbin lib local share local/bin local/sbin"),
    ("var/", "log tmp"),
    ("usr/lib/", "guesthouse modules"),
)
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/run": "/run", "etc/mtab": "/proc/self/mounts"}
_APPLET = re.compile(rb"[a-z0-9][a-z0-9._+-]*\Z")


class TinyImage(msgspec.Struct, frozen=True):
    """The two files of the image, and the kernel's release (as `uname -r` says it)."""

    kernel: bytes
    initrd: bytes
    release: str


def build_tiny(kernel_package: bytes, busybox_package: bytes, agent: bytes, busybox_version: str = "") -> TinyImage:
    """The image made from the two packages' bytes and the executable of the guest's agent.

    Raises UserError where a package is damaged or lacks the kernel, a needed module or busybox.
    """
    files = deb.read_files(kernel_package, _wanted_of_kernel)
    kernel_path = next((path for path in files if path.startswith(("boot/vmlinu", "boot/Image"))), None)
    if kernel_path is None:
        raise UserError("The kernel package holds no kernel under /boot; this program knows no such package.")
    release = kernel_path.partition("-")[2]
    busybox_files = deb.read_files(busybox_package, lambda path: path.endswith("bin/busybox"))
    if not busybox_files:
        raise UserError("The busybox package holds no busybox; this program knows no such package.")
    motd = tiny_init.MOTD.format(suite=SUITE, release=release, busybox=busybox_version)
    initrd = _pack_initramfs(files, {"busybox": next(iter(busybox_files.values())), "agent": agent}, release, motd)
    return TinyImage(files[kernel_path], initrd, release)


def applet_names(busybox: bytes) -> list[str]:
    """The commands of a busybox program, from its table of names: sorted and NUL-terminated, beginning with `[`, `[[`.

    Raises UserError where there is no such table.
    """
    start = busybox.find(b"[\0[[\0")
    names = ["[", "[["] if start >= 0 else []
    position = start + 5
    previous = b""
    while names:
        name = busybox[position : busybox.find(b"\0", position)]
        if not _APPLET.match(name) or name <= previous:
            break
        names.append(name.decode())
        position += len(name) + 1
        previous = name
    if "sh" not in names:
        raise UserError("The busybox package's program has no table of commands that this program knows.")
    return names


def _wanted_of_kernel(path: str) -> bool:
    """Whether the image may need this file of the kernel package."""
    return path.startswith("boot/") or is_module(path) or path.endswith("/modules.builtin")


def _pack_initramfs(files: dict[str, bytes], programs: dict[str, bytes], release: str, motd: str) -> bytes:
    entries = [cpio.directory("dev")]
    entries += [cpio.device("dev/console", "c", 5, 1), cpio.device("dev/null", "c", 1, 3, 0o666)]
    for prefix, names in _DIRECTORIES:
        entries += [cpio.directory(prefix + name) for name in names.split() if prefix + name != "dev"]
    entries += [cpio.symlink(path, target) for path, target in _LINKS.items()]
    entries.append(cpio.file("init", tiny_init.INIT.encode(), 0o755))
    entries.append(cpio.file("usr/lib/guesthouse/session", tiny_init.SESSION.encode(), 0o755))
    entries.append(cpio.file("usr/lib/guesthouse/lease", tiny_init.LEASE.encode(), 0o755))
    entries.append(cpio.file("usr/lib/guesthouse/agent", programs["agent"], 0o755))
    entries += [cpio.file(path, text.encode()) for path, text in tiny_init.SMALL_FILES.items()]
    entries.append(cpio.file("etc/motd", motd.encode()))
    entries.append(cpio.file("usr/bin/busybox", programs["busybox"], 0o755))
    entries += [
        cpio.symlink(f"usr/bin/{name}", "busybox") for name in applet_names(programs["busybox"]) if name != "busybox"
    ]
    entries += _module_entries(files, f"usr/lib/modules/{release}")
    return cpio.pack(entries)


def _module_entries(files: dict[str, bytes], folder: str) -> list[cpio.Entry]:
    """The modules, the lists of those to load in their order, and modprobe's `modules.dep` and `modules.alias`."""
    builtin_text = next((data for path, data in files.items() if path.endswith("/modules.builtin")), b"")
    builtin = [module_name(line) for line in builtin_text.decode("utf-8", "replace").split()]
    modules = {path: data for path, data in files.items() if is_module(path)}
    always = {module_name(path): data for path, data in load_order(MODULES, modules, builtin)}
    both = always | {
        module_name(path): data for path, data in load_order(DISK_MODULES, modules, builtin, OPTIONAL_MODULES)
    }
    rest = load_order((), modules, builtin, SHARE_MODULES + DEVICE_MODULES)
    packed = both | {module_name(path): data for path, data in rest}
    information = {name: module_information(data) for name, data in packed.items()}
    stored = {f"{name}.ko": data for name, data in both.items()}
    names = {name: f"{name}.ko" for name in both}
    for path, data in modules.items():
        if (name := module_name(path)) in packed and name not in both:  # compressed, as the package has it
            names[name] = name + path[path.rindex(".ko") :]
            stored[names[name]] = data
    dependencies = "".join(
        f"{names[name]}: {' '.join(names[need] for need in _needs(information[name]) if need in packed)}\n"
        for name in packed
    )
    aliases = "".join(f"alias {alias} {name}\n" for name in packed for alias in information[name].get("alias", []))
    texts = {
        f"{folder}/modules.dep": dependencies,
        f"{folder}/modules.alias": aliases,
        "etc/modules-load": "".join(f"/{folder}/{name}.ko\n" for name in always),
        "etc/modules-load-disk": "".join(f"/{folder}/{name}.ko\n" for name in both if name not in always),
    }
    entries = [cpio.directory(folder)]
    entries += [cpio.file(f"{folder}/{name}", data) for name, data in stored.items()]
    return entries + [cpio.file(path, text.encode()) for path, text in texts.items()]


def _needs(information: dict[str, list[str]]) -> list[str]:
    """The names of the modules that one with this information needs directly."""
    return [name.replace("-", "_") for field in information.get("depends", []) for name in field.split(",") if name]
