import shutil
import subprocess

import pytest

from guesthouse.guest.tiny_init import INIT, PROFILE, SESSION


@pytest.mark.parametrize("script", [INIT, SESSION, PROFILE], ids=["init", "session", "profile"])
def test_scripts_are_correct_shell(script: str) -> None:
    shell = shutil.which("sh")
    assert shell
    result = subprocess.run([shell, "-n"], input=script.encode(), capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_the_session_ends_the_machine() -> None:
    assert SESSION.rstrip().endswith("poweroff")
    assert "guesthouse.command=1" in SESSION and "/usr/lib/guesthouse/agent" in SESSION
