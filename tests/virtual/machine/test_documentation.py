"""The examples of `docs/python-api.md` run as they stand there, one after the other."""

import re
from pathlib import Path

import pytest

from guesthouse import UserError, image

PAGE = Path(__file__).parents[3] / "docs" / "python-api.md"
NEEDS_IMAGE = "# needs the image"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_examples_that_need_no_image_run() -> None:
    blocks = [block for block in examples() if not block.startswith(NEEDS_IMAGE)]
    assert len(blocks) >= 6
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), scope)


@pytest.mark.boot
def test_examples_with_an_image_run(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        image("tiny")
    except UserError as error:
        pytest.skip(f"no image: {error}")
    for block in examples():
        if block.startswith(NEEDS_IMAGE):
            exec(compile(block, str(PAGE), "exec"), {})
    assert "riscv64" in capsys.readouterr().out
