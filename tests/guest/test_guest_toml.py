import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Disk, GuestFile, Network, Share, resolved
from guesthouse.guest.guest_toml import field_names, parse, write

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
GUESTS = st.builds(
    GuestFile,
    name=TEXTS,
    append=TEXTS,
    kernel=TEXTS,
    memory=st.sampled_from(["512M", "2G", 1 << 28]),
    cpus=st.integers(1, 32),
    seed=st.none() | st.integers(0, 1 << 62),
    timeout=st.none() | st.floats(0.1, 1e6),
    reboot=st.booleans(),
    command=st.lists(TEXTS, max_size=3).map(tuple),
    disks=st.lists(st.builds(Disk, file=TEXTS, readonly=st.booleans()), max_size=3).map(tuple),
    shares=st.lists(
        st.builds(
            Share,
            folder=TEXTS,
            tag=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=7),
            readonly=st.booleans(),
            uid=st.integers(0, 65534),
        ),
        max_size=2,
        unique_by=lambda share: share.tag,
    ).map(tuple),
    network=st.builds(Network, mode=st.sampled_from(["none", "user", "tap:t0"]), publish=st.just(("2222:22",))),
)


@given(GUESTS)
def test_what_is_written_is_read_again(guest: GuestFile) -> None:
    assert parse(write(guest), "guest.toml") == guest


def test_defaults_are_left_out() -> None:
    assert write(GuestFile(name="a", disks=(Disk(file="d.qcow2"),))) == (
        'format = 1\nname = "a"\n\n[[disks]]\nfile = "d.qcow2"\n'
    )


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("cpus = ", "is not TOML"),
        ("cpus = 'two'", "field `cpus`: expected `int`, got `str`"),
        ("speed = 3", "there is no field `speed`"),
        ("[[disks]]\nreadonly = true", r"field `disks\[0\]`.*missing required field `file`"),
        ("memory = '12 apples'", "field `memory` is wrong: '12 apples' is not a size"),
        ("memory = '1M'", "field `memory` is 1M; a guest has 64M to 16G"),
        ("cpus = 33", "field `cpus` is 33"),
        ("engine = 'steam'", "field `engine` is 'steam'; choose auto"),
        ("bus = 'isa'", "field `bus`"),
        ("trace = ['all']", "field `trace` has 'all'"),
        ("[network]\nmode = 'bridge'", "field `network.mode`"),
        ("timeout = 0", "field `timeout`"),
        ("seed = -1", "field `seed`"),
        ("signature_granularity = 3", "field `signature_granularity`"),
        ("format = 9", "field `format` is 9.*newer"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(text: str, wanted: str) -> None:
    with pytest.raises(UserError, match="g.toml.*" + wanted) as raised:
        parse(text, "g.toml")
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


def test_paths_are_relative_to_the_file() -> None:
    guest = GuestFile(
        kernel="k", disks=(Disk(file="d"), Disk(file="/abs")), shares=(Share(folder="s", tag="t"),), stats_json="-"
    )
    found = resolved(guest, "/g")
    assert (found.kernel, found.initrd, found.stats_json) == ("/g/k", "", "-")
    assert [disk.file for disk in found.disks] == ["/g/d", "/abs"] and found.shares[0].folder == "/g/s"
    assert msgspec.structs.replace(found, kernel="", disks=(), shares=(), stats_json="") == GuestFile()


def test_every_field_is_documented() -> None:
    page = Path("docs/guest-definition.md").read_text()
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.M))
    assert told == set(field_names()) - {"network"}
