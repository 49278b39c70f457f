"""A service's place: found, stale, taken, closed to others."""

import os
import socket
from pathlib import Path

import pytest

from guesthouse.host.service_socket import Listener, ServicePlace, peer_user


@pytest.fixture
def place(tmp_path: Path) -> ServicePlace:
    return ServicePlace(tmp_path / ("long" * 40) / "run", "service")  # longer than a socket's address may be


def test_a_client_finds_who_listens_and_nobody_else(place: ServicePlace) -> None:
    assert place.connect() is None
    listener = place.listen()
    assert listener is not None and place.folder.stat().st_mode & 0o777 == 0o700
    client = place.connect()
    end = listener.accept()
    assert client is not None and end is not None and peer_user(end) == os.getuid()
    client.sendall(b"hello")
    assert end.recv(5) == b"hello"
    assert listener.accept() is None  # nobody else waits
    listener.close()
    assert place.connect() is None and not (place.folder / "service").exists()
    client.close()
    end.close()


def test_one_listens_at_a_time(place: ServicePlace) -> None:
    first = place.listen()
    assert first is not None and place.listen() is None
    assert first.in_place()
    first.close()
    second = place.listen()
    assert second is not None
    second.close()


def test_a_stale_socket_is_replaced(place: ServicePlace) -> None:
    place.folder.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        folder = os.open(place.folder, os.O_RDONLY)
        dead.bind(f"/proc/self/fd/{folder}/service")
        os.close(folder)
    assert (place.folder / "service").exists() and place.connect() is None
    listener = place.listen()
    assert listener is not None
    client = place.connect()
    assert client is not None
    client.close()
    listener.close()


def test_another_user_is_refused(place: ServicePlace) -> None:
    place.folder.mkdir(parents=True, mode=0o700)
    listener = Listener(os.open(place.folder, os.O_RDONLY), "service", user=os.getuid() + 1)
    client = place.connect()
    assert client is not None
    assert listener.accept() is None
    assert client.recv(1) == b""
    client.close()
    listener.close()


def test_a_folder_that_others_may_write_to_is_not_used(place: ServicePlace) -> None:
    place.folder.mkdir(parents=True)
    place.folder.chmod(0o777)
    assert place.listen() is None and place.connect() is None


def test_a_folder_that_can_not_be_made_is_not_used() -> None:
    place = ServicePlace(Path("/proc/no-such-folder"), "service")
    assert place.listen() is None and place.connect() is None


def test_a_socket_that_was_removed_is_noticed(place: ServicePlace) -> None:
    listener = place.listen()
    assert listener is not None
    (place.folder / "service").unlink()
    assert not listener.in_place()
    listener.close()
