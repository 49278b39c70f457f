"""All tests: compile services of their own, which end soon after the last test that needs them."""

import os
import shutil
import tempfile

import pytest

FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FOLDER] = os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="guesthouse-tests-")
    os.environ["GUESTHOUSE_COMPILE_IDLE"] = "2"


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument: packed data holds the time of packing, and differs from process to process."""
    return argname if isinstance(val, bytes) else None
