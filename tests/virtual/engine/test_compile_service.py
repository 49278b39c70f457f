"""The compile service as its clients see it: shared, replaced, fair to nobody who lies, and gone when idle."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.engine.compile_service import IDLE_VARIABLE
from guesthouse.virtual.engine.explanation import sample_operands
from guesthouse.virtual.engine.native_code import MOST_LOSSES, NativeCode
from tests.every_tier.engines import ROOT, TOY
from tests.toy.isa import ISA

Clients = Callable[..., NativeCode]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Makes clients of one place and cache."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(dict.fromkeys([*filter(None, sys.path), str(ROOT)])))
    monkeypatch.setenv(IDLE_VARIABLE, "1")
    made: list[NativeCode] = []

    def make(services: Path | None = tmp_path / "run") -> NativeCode:
        made.append(NativeCode(TOY, tmp_path / "cache", services))
        return made[-1]

    yield make
    for native in made:
        native.close()
    assert until(lambda: not processes(tmp_path)), "a process was left behind"


def page(number: int) -> bytes:
    """A page that begins with an instruction of the toy set; each number gives another one."""
    instruction = next(i for i in ISA.decode_order if i.pattern.operands)
    pattern = instruction.pattern
    code = pattern.encode(sample_operands(instruction)).to_bytes(pattern.length, "little")
    return code + bytes(4096 - len(code) - 2) + number.to_bytes(2, "little")


def ask(native: NativeCode, number: int, heat: int = 0) -> str:
    assert native.request_region(page(number), 0, [0] * (4096 // ISA.unit), heat)
    return native.region_name(page(number), 0)


def processes(folder: Path) -> list[int]:
    """Everything that serves a cache in this folder, and its workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder / "cache").encode() in words:
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], Any]) -> Any:
    """What the condition comes to, once it is true or ten seconds are over."""
    end = time.monotonic() + 10
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def status(native: NativeCode) -> dict[str, Any]:
    found = until(native.service_status)
    assert found is not None
    return dict(found)


def worker_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_two_clients_share_a_service_and_its_work(client: Clients) -> None:
    first, second = client(), client()
    names = {ask(first, number) for number in range(4)}
    answers = [first.receive() for _ in names]
    assert {answer["name"] for answer in answers} == names
    assert all(answer["object"] and answer["count"] == 1 and answer["seconds"] > 0 for answer in answers), [
        {**answer, "object": len(answer.get("object", b""))} for answer in answers
    ]
    assert all(first.known_region(name) for name in names), "what was made is kept on disk"
    ask(second, 0)
    again = second.receive()
    assert again["seconds"] == 0 and again["object"] == first.known_region(again["name"])["object"]  # type: ignore[index]
    told = status(second)
    assert (told["clients"], told["regions"]) == (2, 4) and abs(told["since"] - time.time()) < 60


def test_what_two_ask_for_at_once_is_made_once(client: Clients) -> None:
    first, second = client(), client()
    ask(first, 0)
    first.receive()
    for native in (first, second):
        ask(native, 7)
    assert first.receive()["object"] == second.receive()["object"]
    assert status(first)["regions"] == 2


def test_what_is_for_later_is_made_when_all_have_gone(client: Clients) -> None:
    first, second = client(), client()
    assert first.request_region(page(20), 0, [0] * (4096 // ISA.unit), later=True)
    ask(first, 21)
    assert first.receive()["name"] == first.region_name(page(21), 0)
    name = first.region_name(page(20), 0)
    assert second.service_status() is not None
    assert first.known_region(name) is None  # a client is there
    first.close()
    assert until(lambda: second.known_region(name)) is not None


def test_it_ends_when_nobody_came_for_a_while(client: Clients) -> None:
    native = client()
    ask(native, 0)
    native.receive()
    pid = status(native)["pid"]
    native.close()
    assert native.service_status() is not None, "it outlives who started it"
    assert until(lambda: not Path(f"/proc/{pid}").exists())
    assert native.service_status() is None


def test_one_that_is_never_asked_never_starts(client: Clients, tmp_path: Path) -> None:
    native = client()
    native.cache.put(f"{native.digest}.r-some", b"")
    native.start()
    (sleeping,) = processes(tmp_path)
    assert Path(f"/proc/{sleeping}/comm").read_text().strip() not in ("python", "python3", Path(sys.executable).name)
    native.close()
    assert until(lambda: not processes(tmp_path))


def test_a_worker_that_dies_costs_one_answer(client: Clients) -> None:
    native = client()
    ask(native, 0)
    native.receive()
    worker = worker_of(status(native)["pid"])
    os.kill(worker, signal.SIGSTOP)
    name = ask(native, 1)
    time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    answer = native.receive()
    assert answer["name"] == name and "crashed" in answer["error"]
    assert ask(native, 2) == native.receive()["name"]


def test_a_service_that_dies_is_replaced(client: Clients) -> None:
    native = client()
    ask(native, 0)
    native.receive()
    pid = status(native)["pid"]
    os.kill(pid, signal.SIGKILL)  # its socket stays behind, stale
    with pytest.raises(UserError, match="ended unexpectedly"):
        native.receive()
    native.lost()
    ask(native, 1)
    assert native.receive()["object"]
    assert status(native)["pid"] != pid


def test_services_that_keep_dying_are_given_up(client: Clients) -> None:
    native = client()
    for _ in range(MOST_LOSSES):
        native.lost()
    assert not native.request_region(page(0), 0, [])


def test_who_sends_what_can_not_be_read_is_left(client: Clients) -> None:
    native, liar = client(), client()
    ask(native, 0)
    native.receive()
    for lie in (
        {"kind": "import"},
        {},
        [1],
        {"kind": "region", "page": 3},
        {"kind": "region", "page": b"", "entry": -1},
    ):
        liar.start().send(lie)
        with pytest.raises(UserError):
            liar.receive()
        liar.close()
    assert ask(native, 1) == native.receive()["name"]


def test_code_that_makes_no_region_is_an_answer(client: Clients) -> None:
    native = client()
    assert native.request_region(b"\xff" * 16, 9, [])
    answer = native.receive()
    assert answer.get("error") or answer["object"] == b""


@pytest.mark.parametrize("place", [Path("/proc/no-such-folder"), None])
def test_without_a_place_it_serves_one_run(client: Clients, tmp_path: Path, place: Path | None) -> None:
    native = client(place)
    ask(native, 0)
    assert native.receive()["object"]
    assert native.service_status() is None and processes(tmp_path)
    native.close()
    assert until(lambda: not processes(tmp_path))


def test_a_removed_cache_is_begun_anew(client: Clients, tmp_path: Path) -> None:
    native = client()
    ask(native, 0)
    native.receive()
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    later = client()
    name = ask(later, 1)
    later.receive()
    assert later.known_region(name) is not None
