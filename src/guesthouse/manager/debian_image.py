"""Image `debian`: a whole system, whose packages are fetched here and installed by a machine of our own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.guest import deb, debian_system, tiny
from guesthouse.guest import debian_release as debian
from guesthouse.guest.debian_packages import PackageList
from guesthouse.guest.guest_file import Disk
from guesthouse.guest.iso9660 import IsoWriter
from guesthouse.host.user_folders import cache_folder, read_file, told_plainly, write_file
from guesthouse.manager.agent_program import agent_executable
from guesthouse.manager.debian_archive import fetch_packages, forget_download, has_suite
from guesthouse.manager.image_disks import new_disk
from guesthouse.manager.installation import install
from guesthouse.manager.progress import Progress
from guesthouse.manager.pull_source import PullOptions, Source, choose_kernel, open_source
from guesthouse.manager.store import Image, ImageDefinition, ImageStore

DISK_SIZE = 8 << 30
APPEND = "root=/dev/vda quiet systemd.show_status=1"
LOG = "pull-debian.log"


def pull_debian(store: ImageStore, options: PullOptions, progress: Progress, image: Image | None) -> Image:
    """The image of the newest packages; `image` is the stored one, where it can be used.

    What was fetched stays until the image is there, so that a broken-off pull goes on where it was.
    """
    source = open_source(options, progress)
    progress.begin("Choosing packages", None)
    plan = debian_system.choose(PackageList(source.archive.index))
    kernel = choose_kernel(source.archive.index)
    busybox = debian.choose_package(source.archive.index, tiny.BUSYBOX_PACKAGE)
    packages = [kernel, busybox, *(candidate.package for candidate in plan.packages)]
    versions = {package.name: package.version for package in packages}
    if image and image.definition.packages == versions and image.kernel.is_file() and _is_file(image.disk):
        progress.note("Image 'debian' is up to date.")
        return image
    paths = fetch_packages(source.archive, packages, source.folder, source.downloader, progress)
    with store.workplace() as folder:
        files = _build(folder, plan, paths, _mirrors(source, options), progress)
        definition = ImageDefinition(
            name="debian",
            kernel="",
            append=APPEND,
            description=f"Debian {tiny.SUITE}, {len(plan.packages)} packages with systemd, kernel {kernel.version}",
            packages=versions,
            recipe=debian_system.RECIPE,
        )
        image = store.put(definition, files)
    for package in packages:
        forget_download(package, source.folder)
    return image


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _build(
    folder: Path,
    plan: debian_system.Plan,
    paths: Sequence[Path],
    mirrors: Mapping[str, Sequence[str]],
    progress: Progress,
) -> Mapping[str, bytes | Path]:
    """The image's files, the disk in `folder`; `paths` are the kernel's, busybox's and the plan's packages."""
    progress.begin("Preparing the installation", None)
    kernel_path, busybox_path, *package_paths = paths
    files = deb.read_files(_read(kernel_path), debian_system.wanted_of_kernel)
    busybox = _busybox(_read(busybox_path))
    kernel = debian_system.kernel_of(files)
    by_name = {candidate.name: path for candidate, path in zip(plan.packages, package_paths, strict=True)}
    tools = [_read(by_name[name]) for name in debian_system.MKE2FS_PACKAGES]
    write_file(folder / "kernel", kernel)
    write_file(folder / "initrd", debian_system.install_initramfs(files, busybox, tools))
    extra = debian_system.lists_of(plan)
    extra["modules.tar"] = debian_system.pack_tar(debian_system.module_files(files))
    extra["added.tar"] = debian_system.pack_tar(
        debian_system.added_files(mirrors, agent_executable()), [debian_system.AGENT]
    )
    _write_package_disk(folder / "packages.iso", extra, package_paths)
    disk = new_disk(folder, DISK_SIZE)
    disks = (Disk(str(disk)), Disk(str(folder / "packages.iso"), True))
    install(folder / "kernel", folder / "initrd", disks, len(plan.packages), cache_folder() / LOG, progress)
    progress.begin("Storing", None)
    return {"kernel": kernel, "initrd": debian_system.boot_initramfs(files, busybox), "disk": disk}


def _mirrors(source: Source, options: PullOptions) -> Mapping[str, Sequence[str]]:
    """What apt is to use in the image: the mirror that its packages came from, and where the host gets updates."""
    mirror, updates, security = source.archive.mirror, f"{tiny.SUITE}-updates", f"{tiny.SUITE}-security"
    found = {mirror: [tiny.SUITE]}
    if has_suite(mirror, updates, source.downloader):
        found[mirror].append(updates)
    for other in options.apt.security_mirrors():
        if has_suite(other, security, source.downloader):
            found.setdefault(other, []).append(security)
            break
    return found


def _busybox(package: bytes) -> bytes:
    files = deb.read_files(package, lambda path: path.endswith("bin/busybox"))
    if not files:
        raise UserError("The busybox package holds no busybox; this program knows no such package.")
    return next(iter(files.values()))


def _write_package_disk(path: Path, extra: Mapping[str, bytes], packages: Sequence[Path]) -> None:
    """The disk that the installer reads; one package at a time is in memory."""
    names = [debian_system.file_name(number) for number in range(len(packages))]
    with told_plainly(f"write {path}"), open(path, "wb") as file:
        writer = IsoWriter(file, [*extra, *names], "packages")
        for name, data in extra.items():
            writer.add(name, data)
        for name, package in zip(names, packages, strict=True):
            writer.add(name, deb.loosen(_read(package)))
        writer.finish()


def _read(path: Path) -> bytes:
    return read_file(path) or b""
