"""Linux kernel modules: what one needs, and the order to load them in.

A module's `.modinfo` section holds NUL-terminated `key=value` texts; `depends=` names the modules it needs (kmod's
`modules.dep` is made from the same). A package holds no `modules.dep`: Debian's `depmod` runs where it is installed.
"""

from collections.abc import Iterable, Mapping

from guesthouse.errors import UserError
from guesthouse.guest import compression
from guesthouse.guest.elf import parse_elf, section_bytes

MODULE_LIMIT = 256 << 20
_SUFFIXES = {".ko": None, ".ko.xz": "xz", ".ko.zst": "zstd", ".ko.gz": "gzip"}


def is_module(path: str) -> bool:
    """Whether a path names a kernel module, compressed or not."""
    return path.endswith(tuple(_SUFFIXES))


def module_name(path: str) -> str:
    """The module's name as the kernel says it: the file's name without suffixes, with `_` for `-`."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def unpack_module(path: str, data: bytes) -> bytes:
    """The module's ELF file, decompressed as its path's suffix says. Raises UserError where it is damaged."""
    method = _SUFFIXES.get(path[path.rindex(".ko") :])
    return compression.decompress(data, method, f"Kernel module {path}", MODULE_LIMIT) if method else data


def module_information(data: bytes) -> dict[str, list[str]]:
    """The texts of `.modinfo` by key, in order. Raises UserError where the module is no ELF file."""
    result: dict[str, list[str]] = {}
    for text in section_bytes(data, parse_elf(data), ".modinfo").split(b"\0"):
        key, equals, value = text.decode("utf-8", "replace").partition("=")
        if equals:
            result.setdefault(key, []).append(value)
    return result


def load_order(
    names: Iterable[str], modules: Mapping[str, bytes], builtin: Iterable[str], optional: Iterable[str] = ()
) -> list[tuple[str, bytes]]:
    """(path, uncompressed module) of the named modules and all they need, each after what it needs.

    `modules` maps a package's paths to file contents; `builtin` names modules compiled into the kernel, which are left
    out; `optional` names modules that are loaded first where the package has them. Raises UserError where a module is
    nowhere.
    """
    paths = {module_name(path): path for path in modules}
    inside = {name.replace("-", "_") for name in builtin}
    order: dict[str, tuple[str, bytes]] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        name = name.replace("-", "_")
        if name in order or name in inside:
            return
        if name not in paths or name in trail:
            raise UserError(f"The kernel package has no usable module {name!r}, which {trail or 'the image'} needs.")
        data = unpack_module(paths[name], modules[paths[name]])
        for field in module_information(data).get("depends", []):
            for needed in filter(None, field.split(",")):
                visit(needed, (*trail, name))
        order[name] = (paths[name].partition(".ko")[0] + ".ko", data)

    for wanted in (*(name for name in optional if name in paths), *names):
        visit(wanted, ())
    return list(order.values())
