"""Images for programs: found in the user's store, built where they are missing."""

from __future__ import annotations

from guesthouse.manager.pull import ensure_image
from guesthouse.manager.pull_source import PullOptions
from guesthouse.manager.store import Image, ImageStore


def image(name: str, options: PullOptions | None = None) -> Image:
    """The image of that name, for `Machine(image=...)`; built first where the store lacks it. Raises UserError."""
    return ensure_image(name, ImageStore(), options or PullOptions())
