"""Unix sockets of a guest: made, found dead or in use, removed; and the ends of connections."""

import os
import socket
import stat
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.guest_sockets import End, Presence, accept_end, dial_end, opened_listener


def listening(path: str) -> socket.socket:
    with opened_listener(path) as (listener, folder, name):
        assert os.path.samestat(os.stat(folder), os.stat(Path(path).parent)) and name == os.fsencode(Path(path).name)
        return socket.socket(fileno=os.dup(listener))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


def test_only_this_user_s_programs_may_connect(path: str) -> None:
    with listening(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_folder_of_any_length_and_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    listening(str(deep / "s")).close()
    monkeypatch.chdir(deep)
    with opened_listener("t"):
        assert Path("t").is_socket()


def test_a_socket_that_is_left_is_replaced_and_one_in_use_is_not(path: str) -> None:
    listening(path).close()
    assert Path(path).is_socket()
    with listening(path), pytest.raises(UserError, match=r"Another program listens at the socket .*/s; choose"):
        listening(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "1 to 80 bytes"), ("x" * 81, "1 to 80 bytes"), ("a\0b", "1 to 80 bytes"), ("..", "1 to 80 bytes"),
     ("none/s", "Can't open the folder of the socket"), ("file", "is there already, and is no socket")],
)  # fmt: skip
def test_what_can_t_be_a_socket_is_told(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(UserError, match=text), opened_listener(f"{tmp_path}/{name}"):
        pass
    assert (tmp_path / "file").read_bytes() == b"precious"


def test_a_folder_that_may_not_be_written_to() -> None:
    with pytest.raises(UserError, match="Can't listen at the socket /proc/s"), opened_listener("/proc/s"):
        pass


def test_what_has_taken_its_place_is_not_removed(path: str, tmp_path: Path) -> None:
    listening(path).close()
    presence = Presence(path)
    os.rename(path, tmp_path / "other")
    Path(path).write_bytes(b"mine")
    presence.remove()
    assert Path(path).read_bytes() == b"mine"
    os.rename(tmp_path / "other", path)
    presence.remove()
    assert not Path(path).exists()
    presence.remove()
    Presence(path).remove()


def test_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(path).parent)
    assert dial_end(b"s") is None and dial_end(b"n" * 200) is None
    with listening(path) as listener:
        near = dial_end(b"s")
        far = accept_end(listener)
        assert near and far and accept_end(listener) is None
        assert far.read(10) is None and near.write(b"hello") == 5 and far.read(10) == b"hello"
        while near.write(bytes(1 << 16)):
            pass
        assert near.write(b"x") == 0 and not near.hung_up
        near.shut(reading=False, writing=True)
        assert not far.hung_up and near.write(b"x") is None
        while far.read(1 << 20):
            pass
        assert far.read(1) == b"" and not far.hung_up
        near.close()
        assert far.hung_up and far.write(b"x") is None
        far.shut(reading=True, writing=True)
        far.close()


def test_nobody_is_waited_for(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(path).parent)
    with listening(path) as listener:
        listener.listen(0)
        ends: list[End | None] = [dial_end(b"s") for _ in range(4)]
        assert ends[0] and ends[-1] is None
        for end in filter(None, ends):
            end.close()
