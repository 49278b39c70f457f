import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.download import Downloader, NotThere, shown
from tests.host.web_server import Site, serve

DATA = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serve() as site:
        site.files["file"] = DATA
        yield site


def downloader(sleeps: list[float] | None = None) -> Downloader:
    return Downloader(timeout=5, sleep=(sleeps if sleeps is not None else []).append)


def test_a_file_comes_whole_and_progress_adds_up(site: Site) -> None:
    steps: list[int] = []
    assert downloader().fetch(f"{site.url}/file", len(DATA), steps.append) == DATA
    assert sum(steps) == len(DATA)


def test_passing_faults_are_tried_again(site: Site) -> None:
    sleeps: list[float] = []
    steps: list[int] = []
    site.faults = [503, "cut", 429]
    assert downloader(sleeps).fetch(f"{site.url}/file", len(DATA), steps.append) == DATA
    assert sleeps == [0.5, 1.0, 2.0]
    assert sum(steps) == len(DATA)


def test_lasting_faults_end_in_a_sentence(site: Site) -> None:
    site.faults = [500] * 9
    with pytest.raises(UserError, match="500"):
        downloader().fetch(f"{site.url}/file", len(DATA))
    site.faults = [403]
    with pytest.raises(UserError, match="403"):
        downloader().fetch(f"{site.url}/file", len(DATA))
    with pytest.raises(NotThere, match="404"):
        downloader().fetch(f"{site.url}/missing", 10)
    with pytest.raises(UserError, match="longer"):
        downloader().fetch(f"{site.url}/file", 1000)


def test_a_broken_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    site.faults = ["cut", "cut"]
    steps: list[int] = []
    downloader().fetch_file(f"{site.url}/file", path, len(DATA), DIGEST, steps.append)
    assert path.read_bytes() == DATA
    assert sum(steps) == len(DATA)
    starts = [headers.get("Range") for _, headers in site.requests]
    assert starts == [None, f"bytes={len(DATA) // 2}-", f"bytes={len(DATA) * 3 // 4}-"]


def test_an_earlier_runs_part_is_used(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA[:1000])
    downloader().fetch_file(f"{site.url}/file", path, len(DATA), DIGEST)
    assert path.read_bytes() == DATA
    assert site.requests[0][1]["Range"] == "bytes=1000-"


@pytest.mark.parametrize("begun", [b"", b"wrong" * 10, DATA + b"more"])
def test_a_wrong_file_is_refused_and_removed(site: Site, tmp_path: Path, begun: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(begun)
    site.files["file"] = b"?" + DATA[1:]
    with pytest.raises(UserError, match="not what it should be"):
        downloader().fetch_file(f"{site.url}/file", path, len(DATA), DIGEST)
    assert not path.exists()


def test_the_proxy_is_asked(site: Site) -> None:
    through = Downloader(lambda url: site.url, timeout=5)
    assert through.fetch("http://mirror.example/file", len(DATA)) == DATA
    assert site.requests == [("http://mirror.example/file", site.requests[0][1])]


def test_the_environments_proxy_is_used_unless_told_otherwise(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="refused"):
        downloader().fetch(f"{site.url}/file", len(DATA))
    assert Downloader(lambda url: "DIRECT", timeout=5).fetch(f"{site.url}/file", len(DATA)) == DATA
    with pytest.raises(UserError, match="kind"):
        Downloader(lambda url: "socks5h://x:1").fetch(f"{site.url}/file", 10)


def test_passwords_are_sent_but_not_shown(site: Site) -> None:
    url = site.url.replace("//", "//user:secret@")
    downloader().fetch(f"{url}/file", len(DATA))
    assert site.requests[0][1]["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    with pytest.raises(NotThere) as caught:
        downloader().fetch(f"{url}/missing", 10)
    assert "secret" not in str(caught.value)
    assert shown(url) == site.url


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://x/y", "http://", "no url", "http://[bad/"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UserError):
        downloader().fetch(url, 10)


def test_an_unreachable_server_is_a_sentence() -> None:
    with pytest.raises(UserError, match="refused"):
        Downloader(lambda url: "DIRECT", timeout=5, sleep=lambda _: None).fetch("http://127.0.0.1:1/x", 10)
