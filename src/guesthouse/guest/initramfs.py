"""Parts of an initramfs that several images have: static busybox with its commands, modules in their order."""

from collections.abc import Iterable, Mapping

from guesthouse.guest import cpio
from guesthouse.guest.kernel_module import is_module, load_order, module_name


def busybox_entries(busybox: bytes, commands: Iterable[str]) -> list[cpio.Entry]:
    """Folder `bin` with the program and its commands; folders for what is mounted, and the console."""
    entries = [cpio.directory(name) for name in ("bin", "dev", "proc", "sys", "root")]
    entries += [cpio.device("dev/console", "c", 5, 1), cpio.device("dev/null", "c", 1, 3, 0o666)]
    entries.append(cpio.file("bin/busybox", busybox, 0o755))
    return entries + [cpio.symlink(f"bin/{name}", "busybox") for name in commands if name != "busybox"]


def module_entries(files: Mapping[str, bytes], names: Iterable[str], optional: Iterable[str]) -> list[cpio.Entry]:
    """Folder `modules` with those named and all they need, and `modules/load` with their paths in order.

    `files` are a kernel package's, by path; `optional` may be missing. Raises UserError where another one is.
    """
    builtin_text = next((data for path, data in files.items() if path.endswith("/modules.builtin")), b"")
    builtin = [module_name(line) for line in builtin_text.decode("utf-8", "replace").split()]
    modules = {path: data for path, data in files.items() if is_module(path)}
    order = load_order(names, modules, builtin, optional)
    paths = {f"modules/{module_name(path)}.ko": data for path, data in order}
    load = "".join(f"/{path}\n" for path in paths)
    entries = [cpio.directory("modules"), cpio.file("modules/load", load.encode())]
    return entries + [cpio.file(path, data) for path, data in paths.items()]
