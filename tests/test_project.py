"""The project keeps its promises about itself: what its documents name exists, and nothing names this machine."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from guesthouse.version import __version__

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("setup", "check", "tiny", "test", "boot", "run", "bench", "docs", "fuzz")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SPECIFICATION.md", "LICENSE", "docs/reading-guide.md")


def project_files() -> list[Path]:
    """All files that belong to the project: known to git, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text; the empty string where it isn't text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


def markdown_files() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md" and "isa" not in path.parts]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_page_is_there(page: str) -> None:
    assert (ROOT / page).stat().st_size > 200


def test_make_targets_exist() -> None:
    assert set(TARGETS) <= make_targets()


def test_make_alone_lists_every_target() -> None:
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS:
        assert re.search(rf"^  {target} +\S", listing, re.MULTILINE), f"`make` doesn't list {target}"


def test_targets_named_in_documents_exist() -> None:
    for page in markdown_files():
        for target in re.findall(r"`make ([a-z]+)", text_of(page)):
            assert target in make_targets(), f"{page.relative_to(ROOT)} names `make {target}`, which isn't a target"


def test_links_in_documents_lead_somewhere() -> None:
    for page in markdown_files():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(page)):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}: not there"


def test_files_named_in_documents_exist() -> None:
    named = re.compile(r"`((?:src|tests|docs|benchmarks|scripts|guesthouse)/[\w./-]+\.(?:py|md|c|S|ld|json|svg))`")
    for page in markdown_files():
        for name in named.findall(text_of(page)):
            there = (ROOT / name).exists() or (ROOT / "src" / name).exists()
            assert there, f"{page.relative_to(ROOT)} names {name}: not there"


def test_nothing_names_a_machine_or_a_host() -> None:
    # Written in pieces, so that this file doesn't contain what it looks for.
    hosts = ("deb" + r"ian\.org", "py" + r"pi\.org", "python" + r"hosted\.org")
    forbidden = re.compile("|".join(("/wo" + "rk/", "/home/" + r"[a-z]+/", *hosts)))
    for path in project_files():
        found = forbidden.search(text_of(path))
        assert found is None, f"{path.relative_to(ROOT)} names {found.group()!r}" if found else ""


def test_no_source_is_ignored_by_git() -> None:
    sources = [
        str(path.relative_to(ROOT))
        for folder in ("src", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    ]
    answer = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=ROOT,
        input="\n".join(sources),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode > 1:
        pytest.skip("not a git checkout")
    assert answer.stdout == ""


def test_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/guesthouse/version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z]+\d+)?", __version__)


def test_every_module_says_what_it_is() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"


def test_no_import_inside_a_function() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                assert not inner, f"{path.relative_to(ROOT)}:{inner[0]} imports inside {node.name}()"


def prerequisites(python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["scripts/prerequisites", python], cwd=ROOT, capture_output=True, text=True, check=False)


def test_prerequisites_are_met_here() -> None:
    done = prerequisites(sys.executable)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_python_prints_the_line_that_installs_it() -> None:
    done = prerequisites("no-such-python")
    assert done.returncode == 1
    assert "apt-get install -y python3 python3-venv" in done.stderr
