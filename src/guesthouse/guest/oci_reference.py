"""Names of OCI images: where a layout lies, or what a registry calls an image."""

from __future__ import annotations

import re

import msgspec

from guesthouse.errors import UserError

_REFERENCE = re.compile(
    r"(?P<host>[a-zA-Z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/"
    r"(?P<repository>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
)


class Reference(msgspec.Struct, frozen=True):
    """An image in a registry; `version` is a tag or a digest."""

    host: str
    repository: str
    version: str = "latest"


def parse_reference(text: str) -> Reference:
    """The image that HOST[:PORT]/NAME[:TAG][@DIGEST] names; raises UserError where it is no such name."""
    match = _REFERENCE.match(text.removeprefix("docker://"))
    if not match or ("." not in match["host"] and ":" not in match["host"] and match["host"] != "localhost"):
        raise UserError(
            f"{text[:200]!r} names no image of a registry; write it as HOST/NAME:TAG, with the registry's host."
        )
    return Reference(match["host"], match["repository"], match["digest"] or match["tag"] or "latest")
