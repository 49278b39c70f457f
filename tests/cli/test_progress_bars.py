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


def test_a_step_counts_bytes_or_something_else() -> None:
    with ProgressBars() as progress:
        for unit, shown in (("bytes", "40/100 bytes"), ("steps", "40/100 steps")):
            progress.begin("Working", 100, unit)
            progress.advance(40)
            column = progress._progress.columns[-1]
            assert str(column(progress._progress.tasks[-1])).startswith(shown)
        progress.begin("Working", None, "steps")
        assert str(column(progress._progress.tasks[-1])) == ""
