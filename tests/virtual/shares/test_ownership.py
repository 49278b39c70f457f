"""Owners and modes that the host can't carry are kept beside the file."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.virtual.shares.ownership import NOBODY, NOTHING, Kept, Owner, Ownership, parse

MINE = Ownership(host_uid=1000, host_gid=100)


def found(mode: int = 0o100644, uid: int = 1000, gid: int = 100) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


def test_the_host_s_user_is_the_guest_s_root_and_others_are_nobody() -> None:
    assert MINE.seen(found(), NOTHING) == Owner(0, 0, 0o644)
    assert MINE.seen(found(uid=7, gid=8), NOTHING) == Owner(NOBODY, NOBODY, 0o644)
    assert Ownership(1000, 100, 5, 6).seen(found(), NOTHING) == Owner(5, 6, 0o644)


def test_what_the_host_carries_needs_no_attribute() -> None:
    assert MINE.to_keep(Owner(0, 0, 0o644), found()) == b""


@given(st.integers(0, 1 << 32), st.integers(0, 65535), st.integers(0, 0o7777), st.integers(0, 0o7777))
def test_what_is_kept_is_seen_again(uid: int, gid: int, mode: int, host: int) -> None:
    wanted = Owner(uid & 0xFFFF_FFFF, gid, mode)
    on_host = found(stat.S_IFREG | host)
    kept = MINE.to_keep(wanted, on_host)
    assert MINE.seen(on_host, parse(kept) if kept else NOTHING) == wanted


def test_a_mode_that_the_host_has_changed_since_is_the_host_s() -> None:
    kept = parse(MINE.to_keep(Owner(3, 0, 0o4755), found(0o100755)))
    assert MINE.seen(found(0o100755), kept) == Owner(3, 0, 0o4755)
    assert MINE.seen(found(0o100700), kept) == Owner(3, 0, 0o700)


def test_the_host_gets_no_setuid_and_stays_able_to_read_and_write() -> None:
    assert MINE.host_mode(0o6755, directory=False) == 0o755
    assert MINE.host_mode(0o1000, directory=True) == 0o700
    assert MINE.host_mode(0o444, directory=False) == 0o644


@pytest.mark.parametrize("text", [b"", b"1 2 3", b"a b c d", b"- - - -", b"1 2 9 1", b"1" * 99, b"\xff - 1 1"])
def test_nonsense_keeps_nothing(text: bytes) -> None:
    assert parse(text) == NOTHING


def test_numbers_are_bounded() -> None:
    assert parse(b"99999999999 - 177777 644") == Kept(99999999999 & 0xFFFF_FFFF, None, 0o7777, 0o644)
