from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.manager import installation
from guesthouse.manager.installation import Console, install
from guesthouse.manager.progress import SilentProgress
from guesthouse.manager.run import Outcome, Streams
from tests.manager.notes import Notes

LOG = """[    0.1] Linux version
guesthouse-install: phase format
guesthouse-install: phase extract
guesthouse-install: extract base-files
guesthouse-install: phase essential
Unpacking base-files (13.8) over (13.8) ...
Setting up base-files (13.8) ...
Unpacking base-files (13.8) over (13.8) ...
Unpacking libc6:riscv64 (2.41-12) ...
Setting up libc6:riscv64 (2.41-12) ...
Unpacking more-than-there-are (1) ...
guesthouse-install: phase nonsense
guesthouse-install: phase complete
guesthouse-install: done
"""


def test_the_console_tells_how_far_it_is() -> None:
    notes = Notes()
    console = Console(2, notes)
    for line in LOG.splitlines():
        assert not console.done
        console.take(line)
    assert console.done
    assert notes.steps == [
        ("Making the file system", None, 0),
        ("Unpacking dpkg", None, 0),
        ("Installing", 4, 4),
        ("Finishing", None, 0),
    ]


def run_with(text: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    def run(plan: object, streams: Streams, timeout: float | None = None) -> Outcome:
        with open(streams.output, "w", closefd=False) as console:
            console.write(text)
        return outcome

    monkeypatch.setattr(installation, "run_guest", run)
    install(Path("kernel"), Path("initrd"), (), 2, log, SilentProgress())


def test_an_installation_that_is_done_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(LOG, Outcome(0), monkeypatch, tmp_path / "log")
    assert (tmp_path / "log").read_text() == LOG


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        (
            "guesthouse-install: failed: mke2fs x\nguesthouse-install: failed: again\n",
            Outcome(0),
            "mke2fs x",
        ),
        (LOG.replace("guesthouse-install: done", ""), Outcome(0), "before it was done"),
        ("", Outcome(1, "the kernel panicked"), "the kernel panicked"),
    ],
)
def test_one_that_fails_tells_why_and_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, outcome: Outcome, reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as raised:
        run_with(text, outcome, monkeypatch, tmp_path / "log")
    assert str(tmp_path / "log") in str(raised.value)
