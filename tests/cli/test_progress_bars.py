import pytest

from guesthouse.cli.progress_bars import ProgressBars


def test_without_a_terminal_steps_and_notes_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as progress:
        progress.begin("Fetching", 100)
        progress.advance(40)
        progress.begin("Building", None)
        progress.note("It is [bold] so.")
        assert progress.asker() is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["Fetching", "Building", "It is [bold] so."]


def test_a_step_that_ends_is_full() -> None:
    with ProgressBars() as progress:
        progress.begin("Fetching", 100)
        progress.advance(40)
        progress.begin("Building", None)
        assert [task.completed for task in progress._progress.tasks] == [100, 0]
    assert all(task.finished for task in progress._progress.tasks)
