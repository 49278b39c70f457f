"""OCI images from layouts, archives and a registry on this machine."""

import gzip
import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from guesthouse.errors import UserError
from guesthouse.guest.oci_reference import Reference, parse_reference
from guesthouse.host.download import Downloader
from guesthouse.manager.oci import OciImage, open_oci
from guesthouse.manager.progress import SilentProgress
from tests.guest.test_oci_layers import FILE, FOLDER, layer

TYPE = "application/vnd.oci.image."


class Layout:
    """An OCI layout, written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, kind: str, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": TYPE + kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, *layers: dict[str, object], architecture: str = "riscv64", **more: object) -> dict[str, object]:
        config = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"], "Env": ["A=1"]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": TYPE + "manifest.v1+json",
            "config": self.blob(json.dumps(config).encode(), "config.v1+json"),
            "layers": list(layers),
        }
        platform = {"architecture": architecture, "os": "linux"}
        return self.blob(json.dumps(manifest).encode(), "manifest.v1+json", platform=platform, **more)

    def write_index(self, *manifests: dict[str, object]) -> bytes:
        data = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        (self.folder / "index.json").write_bytes(data)
        return data


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "layout")
    lower = layer(("etc", FOLDER, b""), ("etc/one", FILE, b"1"), ("etc/two", FILE, b"2"))
    upper = layer(("etc/.wh.one", FILE, b""), ("new", FILE, b"n" * 3000))
    layers = [
        made.blob(gzip.compress(lower), "layer.v1.tar+gzip"),
        made.blob(zstandard.ZstdCompressor().compress(upper), "layer.v1.tar+zstd"),
        made.blob(layer(("plain", FILE, b"p")), "layer.v1.tar"),
    ]
    foreign = made.image(made.blob(layer(("x", FILE, b"")), "layer.v1.tar"), architecture="amd64")
    made.write_index(foreign, made.image(*layers, annotations={"org.opencontainers.image.ref.name": "v1"}))
    return made


def root(image: OciImage) -> dict[str, bytes | None]:
    target = BytesIO()
    image.write_root(target)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        return {entry.name: archive.extractfile(entry).read() if entry.isreg() else None for entry in archive}


ROOT = {"etc": None, "etc/two": b"2", "new": b"n" * 3000, "plain": b"p"}


def open_(name: object, cache: Path) -> OciImage:
    return open_oci(str(name), SilentProgress(), Downloader(sleep=lambda _: None), cache)


def test_a_layout_in_a_folder_and_in_an_archive(layout: Layout, tmp_path: Path) -> None:
    image = open_(layout.folder, tmp_path / "cache")
    assert root(image) == ROOT
    assert image.configuration.config.command == ["sh"] and image.configuration.config.env == ["A=1"]
    with tarfile.open(tmp_path / "archive.tar", "w") as archive:
        archive.add(layout.folder, ".")
    assert root(open_(tmp_path / "archive.tar", tmp_path / "cache")) == ROOT
    assert root(open_(f"{tmp_path}/archive.tar:v1", tmp_path / "cache")) == ROOT
    with pytest.raises(UserError, match=r"no image 'v2'.*v1"):
        open_(f"{layout.folder}:v2", tmp_path / "cache")


def test_damage_is_one_sentence(layout: Layout, tmp_path: Path) -> None:
    blobs = sorted((layout.folder / "blobs/sha256").iterdir())
    found = 0
    for blob in blobs:
        whole = blob.read_bytes()
        blob.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
        try:
            assert root(open_(layout.folder, tmp_path)) == ROOT  # of the other platform
        except UserError as error:
            found += 1
            assert "damaged" in str(error)
        blob.write_bytes(whole)
    assert found == 5, "manifest, configuration and three layers"
    for data in (b"", b"[]", b"{}", b'{"manifests": []}'):
        (layout.folder / "index.json").write_bytes(data)
        with pytest.raises(UserError):
            open_(layout.folder, tmp_path)
    shutil.rmtree(layout.folder)
    with pytest.raises(UserError, match="no OCI layout"):
        open_(layout.folder, tmp_path)
    (tmp_path / "file").write_bytes(b"no archive")
    with pytest.raises(UserError, match="no archive of an OCI layout"):
        open_(tmp_path / "file", tmp_path)


def test_a_digest_can_t_lead_out_of_the_layout(layout: Layout, tmp_path: Path) -> None:
    entry = {"mediaType": TYPE + "manifest.v1+json", "digest": "sha256:../../secret", "size": 1}
    layout.write_index(entry)
    with pytest.raises(UserError, match="no digest"):
        open_(layout.folder, tmp_path)


def test_an_image_for_other_processors_is_refused(layout: Layout, tmp_path: Path) -> None:
    layout.write_index(layout.image(architecture="amd64"), layout.image(architecture="arm64"))
    with pytest.raises(UserError, match="not made for linux/riscv64, only for linux/amd64, linux/arm64"):
        open_(layout.folder, tmp_path)
    layout.write_index(layout.image(architecture="amd64"))
    with pytest.raises(UserError, match="linux/amd64, not for linux/riscv64"):
        open_(layout.folder, tmp_path)


class Server:
    """A registry that wants a token, redirects blobs, and breaks the first download off."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.cuts, self.leaks = layout, 1, 0
        self.types = {"index": TYPE + "index.v1+json"}


@pytest.fixture
def registry(layout: Layout) -> Iterator[tuple[str, Server]]:
    state = Server(layout)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == "/token":
                assert "scope=repository%3Ateam%2Fapp%3Apull" in query and "service=here" in query
                self.answer(b'{"token": "secret"}')
            elif path.startswith("/elsewhere/"):
                state.leaks += "Authorization" in self.headers
                self.blob(path)
            elif self.headers.get("Authorization") != "Bearer secret":
                self.send_response(401)
                realm = f"http://127.0.0.1:{self.server.server_port}/token"
                self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="here"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path.startswith("/v2/team/app/blobs/"):
                self.send_response(307)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere/" + path[-64:])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path == "/v2/team/app/manifests/v1":
                assert "index.v1+json" in self.headers["Accept"]
                self.answer((state.layout.folder / "index.json").read_bytes())
            elif path.startswith("/v2/team/app/manifests/sha256:"):
                self.blob(path)
            else:
                self.send_error(404)

        def blob(self, path: str) -> None:
            file = state.layout.folder / "blobs/sha256" / path[-64:]
            data = file.read_bytes()
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if len(data) > 150 and state.cuts and "/elsewhere/" in path:
                state.cuts -= 1
                self.answer(data, sent=len(data) // 2)
            else:
                self.answer(data[start:], start=start, total=len(data))

        def answer(self, data: bytes, sent: int | None = None, start: int = 0, total: int = 0) -> None:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            self.wfile.write(data[:sent])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_port}", state
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_image_of_a_registry(registry: tuple[str, Server], tmp_path: Path) -> None:
    host, state = registry
    assert root(open_(f"{host}/team/app:v1", tmp_path)) == ROOT
    assert state.leaks == 0, "the token is not for the place a blob is redirected to"
    assert state.cuts == 0
    with pytest.raises(UserError, match=r"no .*manifests/v2"):
        open_(f"{host}/team/app:v2", tmp_path)


def test_references() -> None:
    digest = "sha256:" + "0" * 64
    assert parse_reference("registry.example/a/b") == Reference("registry.example", "a/b", "latest")
    assert parse_reference("localhost:5000/a:1.0") == Reference("localhost:5000", "a", "1.0")
    assert parse_reference(f"docker://h.example/a:1@{digest}") == Reference("h.example", "a", digest)
    for text in ("alpine", "library/alpine", "h.example/UPPER", "h.example/a:", "h.example/../a", ""):
        with pytest.raises(UserError, match="HOST/NAME:TAG"):
            parse_reference(text)
