"""Image `tiny`: fetched and built."""

from guesthouse.guest import debian_release as debian
from guesthouse.guest import tiny
from guesthouse.manager.agent_program import agent_executable
from guesthouse.manager.debian_archive import fetch_package, forget_download
from guesthouse.manager.progress import Progress
from guesthouse.manager.pull_source import PullOptions, choose_kernel, open_source
from guesthouse.manager.store import Image, ImageDefinition, ImageStore


def pull_tiny(store: ImageStore, options: PullOptions, progress: Progress, image: Image | None) -> Image:
    """The image of the newest packages; `image` is the stored one, where it can be used."""
    source = open_source(options, progress)
    kernel = choose_kernel(source.archive.index)
    busybox = debian.choose_package(source.archive.index, tiny.BUSYBOX_PACKAGE)
    packages = {package.name: package.version for package in (kernel, busybox)}
    if image and image.definition.packages == packages and image.kernel.is_file():
        progress.note("Image 'tiny' is up to date.")
        return image
    kernel_data, busybox_data = (
        fetch_package(source.archive, package, source.folder, source.downloader, progress)
        for package in (kernel, busybox)
    )
    progress.begin("Building", None)
    built = tiny.build_tiny(kernel_data, busybox_data, agent_executable(), busybox.version)
    definition = ImageDefinition(
        name="tiny",
        kernel="",
        description=f"Debian {tiny.SUITE}, kernel {built.release}, busybox {busybox.version}",
        packages=packages,
        recipe=tiny.RECIPE,
    )
    image = store.put(definition, {"kernel": built.kernel, "initrd": built.initrd})
    for package in (kernel, busybox):
        forget_download(package, source.folder)
    return image
