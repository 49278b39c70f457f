"""Progress as bars on the user's terminal, or as lines where there is none; always on standard error."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class _Amount(ProgressColumn):
    """How much is done: bytes and their speed, or a count of something else."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes, self._speed = DownloadColumn(), TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        """The text of one bar."""
        unit = task.fields.get("unit", "bytes")
        if unit == "bytes":
            return Text.assemble(self._bytes.render(task), " ", self._speed.render(task))
        return Text(f"{task.completed:.0f}/{task.total:.0f} {unit}" if task.total else "", style="progress.download")


class ProgressBars:
    """One bar a step, drawn while entered; see `guesthouse.manager.progress`."""

    def __init__(self) -> None:
        self._plain = not sys.stderr.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            console=Console(stderr=True),
            disable=self._plain,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._progress.stop()

    def begin(self, label: str, total: int | None, unit: str = "bytes") -> None:
        """Finish the bar before and start another."""
        self._finish()
        if self._plain:
            click.echo(label, err=True)
        self._task = self._progress.add_task(label, total=total, unit=unit)

    def advance(self, amount: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.advance(self._task, amount)

    def note(self, text: str) -> None:
        """Print a sentence above the bars."""
        if self._plain:
            click.echo(text, err=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False)

    def asker(self) -> Callable[[str], str] | None:
        """Puts a question to the user; None where nobody is at a terminal."""
        return None if self._plain or not sys.stdin.isatty() else self._ask

    def _ask(self, question: str) -> str:
        self._progress.stop()
        try:
            answer: str = click.prompt(question, prompt_suffix=" ", default="", show_default=False, err=True)
        finally:
            self._progress.start()
        return answer

    def _finish(self) -> None:
        if self._task is None:
            return
        task = next(task for task in self._progress.tasks if task.id == self._task)
        done = task.total if task.total is not None else max(task.completed, 1)
        self._progress.update(self._task, total=done, completed=done)
        self._task = None
