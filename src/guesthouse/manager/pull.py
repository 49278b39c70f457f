"""`pull`: builds an image from Debian's packages into the user's store."""

from collections.abc import Callable, Mapping

from guesthouse.errors import UserError
from guesthouse.guest import debian_system, tiny
from guesthouse.manager.debian_image import pull_debian
from guesthouse.manager.progress import Progress, SilentProgress
from guesthouse.manager.pull_source import PullOptions
from guesthouse.manager.store import Image, ImageStore
from guesthouse.manager.tiny_image import pull_tiny

Builder = Callable[[ImageStore, PullOptions, Progress, Image | None], Image]
RECIPES: Mapping[str, tuple[int, Builder]] = {
    "tiny": (tiny.RECIPE, pull_tiny),
    "debian": (debian_system.RECIPE, pull_debian),
}
"""What can be pulled: the number of the recipe, and what builds the image or finds the stored one up to date."""


def pull(name: str, store: ImageStore, options: PullOptions, progress: Progress | None = None) -> Image:
    """Build the image `name` from the newest packages, or return the stored one where it is built from these already.

    Two at once are safe: the second waits. Raises UserError where the name is unknown, nothing can be reached, a
    signature or hash is wrong, or the disk is full; then the stored image is as it was.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe for an image {name!r}; `guesthouse pull` builds {' or '.join(RECIPES)}.")
    progress = progress or SilentProgress()
    with store.lock(name, lambda: progress.note(f"Another process is building {name!r}; waiting for it.")):
        return RECIPES[name][1](store, options, progress, _usable(name, store))


def ensure_image(name: str, store: ImageStore, options: PullOptions, progress: Progress | None = None) -> Image:
    """The stored image; built first where it is missing, damaged or made by an older recipe."""
    if image := _usable(name, store):
        return image
    if name not in RECIPES:
        raise UserError(f"There is no image {name!r}; `guesthouse images` lists those there are.")
    progress = progress or SilentProgress()
    with store.lock(name, lambda: progress.note(f"Another process is building {name!r}; waiting for it.")):
        return _usable(name, store) or RECIPES[name][1](store, options, progress, None)


def _usable(name: str, store: ImageStore) -> Image | None:
    """The image where it can be run as it is, None where it is missing or must be rebuilt by its recipe."""
    try:
        image = store.get(name)
    except UserError:
        if name not in RECIPES:
            raise
        return None
    if image and name in RECIPES and image.definition.recipe != RECIPES[name][0]:
        return None
    return image
