"""Content of a registry of OCI images, over HTTP.

Source: OCI Distribution Specification 1.1 (pulling); the token protocol of Docker's registries for those that want one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from guesthouse.errors import UserError
from guesthouse.host.download import Advance, Downloader, Unauthorized

LONGEST_TOKEN = 1 << 20
LOCAL = ("localhost", "127.0.0.1", "[::1]")
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')

T = TypeVar("T")


class Registry:
    """One repository of a registry; `host` may have a port. Hosts of this machine are spoken to without TLS."""

    def __init__(self, host: str, repository: str, downloader: Downloader) -> None:
        name = host.rpartition(":")[0] or host
        scheme = "http" if name in LOCAL else "https"
        self._root = f"{scheme}://{host}/v2/{repository}"
        self._repository = repository
        self._downloader = downloader

    def manifest(self, reference: str, types: tuple[str, ...], limit: int) -> bytes:
        """The manifest or index of a tag or digest, of one of the media types."""
        self._downloader.headers["Accept"] = ", ".join(types)
        return self._allowed(lambda: self._downloader.fetch(f"{self._root}/manifests/{reference}", limit))

    def document(self, digest: str, limit: int) -> bytes:
        """A small blob."""
        self._downloader.headers["Accept"] = "*/*"
        return self._allowed(lambda: self._downloader.fetch(f"{self._root}/blobs/{digest}", limit))

    def blob(self, digest: str, size: int, path: Path, advance: Advance) -> None:
        """Put a blob with a SHA-256 digest at `path`, going on where an earlier call was broken off."""
        self._downloader.headers["Accept"] = "*/*"
        sha256 = digest.removeprefix("sha256:")
        url = f"{self._root}/blobs/{digest}"
        self._allowed(lambda: self._downloader.fetch_file(url, path, size, sha256, advance))

    def _allowed(self, fetch: Callable[[], T]) -> T:
        """What `fetch` gets, with the token that the registry asks for where it does."""
        try:
            return fetch()
        except Unauthorized as refused:
            if not refused.challenge.lower().startswith("bearer "):
                raise
            self._downloader.headers["Authorization"] = f"Bearer {self._token(refused)}"
        return fetch()

    def _token(self, refused: Unauthorized) -> str:
        """A token that lets anybody read this repository."""
        told = dict(_PARAMETER.findall(refused.challenge))
        realm = told.pop("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise refused
        told.setdefault("scope", f"repository:{self._repository}:pull")
        query = urlencode({name: value for name, value in told.items() if name in ("service", "scope")})
        self._downloader.headers.pop("Authorization", None)
        data = self._downloader.fetch(f"{realm}{'&' if '?' in realm else '?'}{query}", LONGEST_TOKEN)
        try:
            answer = json.loads(data)
            token = answer.get("token") or answer["access_token"]
        except (ValueError, KeyError, AttributeError) as error:
            raise UserError(f"The registry's token service at {realm} gave no token; try again later.") from error
        return str(token)
