from guesthouse.manager.progress import Progress, SilentProgress


def test_silence_takes_every_call() -> None:
    progress: Progress = SilentProgress()
    assert [progress.begin("a", None), progress.advance(-3), progress.note("b")] == [None, None, None]  # type: ignore[func-returns-value]
