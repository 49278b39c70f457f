import os
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.line_pipe import LONGEST_LINE, line_pipe


def test_lines_are_told_and_everything_is_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    with line_pipe(tmp_path / "folder" / "log", lines.append) as writer:
        for data in (b"one\r\ntw", b"o\n\n", b"\xff\nrest"):
            os.write(writer, data)
    assert lines == ["one", "two", "", "\ufffd"]
    assert (tmp_path / "folder" / "log").read_bytes() == b"one\r\ntwo\n\n\xff\nrest"


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    lines: list[str] = []
    with line_pipe(tmp_path / "log", lines.append) as writer:
        for _ in range(64):
            os.write(writer, b"x" * 8192)
    assert "".join(lines) + "x" * (64 * 8192 - sum(map(len, lines))) == "x" * (64 * 8192)
    assert len(lines) >= 4
    assert max(map(len, lines)) <= 2 * LONGEST_LINE


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="write"), line_pipe(tmp_path, lambda line: None):
        pass
