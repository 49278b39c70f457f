"""The built wheel alone runs a guest: in an empty environment, for a user with nothing, without a compiler."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(600)
def test_the_wheel_alone_runs_hello(tmp_path: Path) -> None:
    # Other tests may have set PYTHONPATH: pip would believe that what lies there is installed.
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=300, env=outside)
    (wheel,) = tmp_path.glob("guesthouse-*.whl")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    install = [environment / "bin/python", "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(install, check=True, timeout=300, cwd=tmp_path, env=outside)
    # Nothing of the usual PATH: no compiler, no assembler, no linker; a home without any of our files.
    bare = {"PATH": str(environment / "bin"), "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    bare |= {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    run = [environment / "bin/guesthouse", "run", "hello"]
    done = subprocess.run(run, env=bare, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Powering off" in done.stdout
