"""Downloads over HTTP: proxies, retries, resumption, limits on time and size."""

import base64
import errno
import hashlib
import http.client
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from guesthouse.errors import UserError
from guesthouse.host.user_folders import make_folder, told_plainly

CHUNK = 1 << 18
TRIES = 4
TIMEOUT = 30.0
AGENT = "guesthouse"
Advance = Callable[[int], None]
"""Told how many bytes have come since it was last called; negative where a download starts over."""


class NotThere(UserError):
    """The server answered that it has no such file."""


class Unauthorized(UserError):
    """The server wants to know who asks; `challenge` is its WWW-Authenticate header."""

    def __init__(self, sentence: str, challenge: str) -> None:
        super().__init__(sentence)
        self.challenge = challenge


class _Interrupted(Exception):
    """A try failed in a way that another one may mend."""


class Downloader:
    """Fetches URLs; `proxy` says the proxy of a URL: its address, "DIRECT" for none, None for the environment's."""

    def __init__(
        self,
        proxy: Callable[[str], str | None] = lambda _: None,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` is in seconds without an answer or data; `sleep` is called between tries."""
        self.headers: dict[str, str] = {}
        """Sent with each request, but not to where a server redirects it."""
        self._proxy = proxy
        self._timeout = timeout
        self._sleep = sleep

    def fetch(self, url: str, limit: int, advance: Advance = lambda _: None) -> bytes:
        """The whole file at `url`, of at most `limit` bytes.

        Raises NotThere where the server has none, UserError for everything else that fails.
        """
        result = bytearray()

        def attempt() -> None:
            advance(-len(result))
            result.clear()
            with self._open(url, 0) as response:
                while piece := _read(response):
                    result.extend(piece)
                    advance(len(piece))
                    if len(result) > limit:
                        raise UserError(f"{shown(url)} is longer than it may be; use another source.")
                if response.length:
                    raise _Interrupted("the connection ended too early")

        self._retry(url, attempt)
        return bytes(result)

    def fetch_file(self, url: str, path: Path, size: int, sha256: str, advance: Advance = lambda _: None) -> None:
        """Put the file at `url` at `path`, going on where an earlier call was broken off.

        Raises UserError, and leaves nothing at `path`, where its size or SHA-256 is another.
        """
        make_folder(path.parent)
        with told_plainly(f"write {path}"), open(path, "ab") as file:
            advance(min(file.tell(), size))
            if file.tell() > size:
                file.truncate(0)
            self._retry(url, lambda: self._continue(url, file, size, advance))
        with told_plainly(f"read {path}"), open(path, "rb") as file:
            same = os.fstat(file.fileno()).st_size == size and hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if not same:
            path.unlink(missing_ok=True)
            raise UserError(
                f"{shown(url)} is not what it should be: its size or digest differs. Try again, or use another source."
            )

    def _continue(self, url: str, file: IO[bytes], size: int, advance: Advance) -> None:
        """One try at what is missing of the file."""
        start = file.seek(0, os.SEEK_END)
        if start == size:
            return
        with self._open(url, start) as response:
            if start and not (response.status == 206 and _range_start(response) == start):
                if response.status == 206:
                    raise _Interrupted("the server sent another part")
                file.truncate(0)
                advance(-start)
            while piece := _read(response):
                file.write(piece)
                advance(len(piece))
                if file.tell() > size:
                    file.truncate(0)
                    raise UserError(f"{shown(url)} is longer than it should be; use another source.")
        file.flush()
        if file.tell() < size:
            raise _Interrupted("the connection ended too early")

    def _retry(self, url: str, attempt: Callable[[], None]) -> None:
        for number in range(TRIES):
            try:
                return attempt()
            except _Interrupted as error:
                if number == TRIES - 1:
                    raise UserError(
                        f"Can't download {shown(url)}: {error}; check the network and its proxy."
                    ) from error
                self._sleep(0.5 * 2**number)

    def _open(self, url: str, start: int) -> http.client.HTTPResponse:
        """The answer to a request for the bytes from `start`; raises _Interrupted where another try may help."""
        request = _request(url, start)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        proxies = self._proxies(url)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
        try:
            response: http.client.HTTPResponse = opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (404, 410):
                    raise NotThere(f"The server has no {shown(url)} ({error.code}); use another source.") from error
                if error.code == 401:
                    sentence = f"The server does not let us have {shown(url)}; it may be private."
                    raise Unauthorized(sentence, error.headers.get("WWW-Authenticate", "")) from error
                if error.code >= 500 or error.code in (408, 429):
                    raise _Interrupted(f"the server answered {error.code} {error.reason}") from error
                raise UserError(
                    f"Can't download {shown(url)}: the server answered {error.code} {error.reason}."
                ) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                reason = error.reason.verify_message
                raise UserError(f"Can't download {shown(url)}: its certificate is not trusted ({reason}).") from error
            raise _Interrupted(_reason(error.reason)) from error
        except (ValueError, http.client.InvalidURL) as error:
            raise UserError(f"{shown(url)} is not a usable URL ({error}).") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(_reason(error)) from error
        return response

    def _proxies(self, url: str) -> dict[str, str]:
        proxy = self._proxy(url)
        if proxy is None:
            return urllib.request.getproxies()
        if proxy == "DIRECT":
            return {}
        if urlsplit(proxy).scheme not in ("http", "https"):
            raise UserError(f"The proxy {shown(proxy)} is of a kind that is not supported; name an http:// one.")
        return {"http": proxy, "https": proxy}


def shown(url: str) -> str:
    """A URL as errors may show it: without user and password."""
    parts = _split(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UserError(f"{url!r} is not a usable URL ({error}).") from error


def _request(url: str, start: int) -> urllib.request.Request:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"{shown(url)} is not a usable URL; give one that begins with http:// or https://.")
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if "@" in parts.netloc:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return urllib.request.Request(shown(url), headers=headers)


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from error


def _range_start(response: http.client.HTTPResponse) -> int | None:
    """Where the part that the server sends begins."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else None


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the server's name can't be resolved"
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return "the connection was refused"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended too early"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
