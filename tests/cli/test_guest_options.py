"""Options that describe a guest: what is read from their words."""

import click
import pytest

from guesthouse.cli.guest_options import SharedFolder
from guesthouse.guest.definition import Share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("/a:data", Share(folder="/a", tag="data")),
        ("/a:data:ro", Share(folder="/a", tag="data", readonly=True)),
        ("/a:data:rw", Share(folder="/a", tag="data")),
        (".:x:ro,uid=5,gid=6", Share(folder=".", tag="x", readonly=True, uid=5, gid=6)),
        ("/a:b:c", Share(folder="/a:b", tag="c")),
        ("/a:ro", Share(folder="/a", tag="ro")),
        ("/a:b:ro:ro", Share(folder="/a:b", tag="ro", readonly=True)),
        ("/a:b:uid=x", Share(folder="/a:b", tag="uid=x")),
    ],
)
def test_a_shared_folder_is_read(text: str, share: Share) -> None:
    assert SharedFolder().convert(text, None, None) == share


@pytest.mark.parametrize("text", ["", "/a", "/a:", ":tag", ":"])
def test_what_is_no_shared_folder_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="write it as DIR:TAG"):
        SharedFolder().convert(text, None, None)
