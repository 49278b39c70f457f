"""A folder of what can be made again, where nothing is believed that this user's programs did not write.

Each entry begins with a digest keyed by a per-user secret: a truncated, altered or foreign file reads as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sys
from pathlib import Path

KEY_BYTES = 32
DIGEST_BYTES = 32


class AuthenticatedCache:
    """Entries by name in `folder` (mode 0700). Without a usable folder it holds nothing and says so in `problem`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""
        self._key = self._load_key()

    def _load_key(self) -> bytes:
        path = self.folder / "key"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                draft = self.folder / f".key.{os.getpid()}.{os.urandom(4).hex()}"
                draft.touch(mode=0o600)
                draft.write_bytes(os.urandom(KEY_BYTES))
                try:
                    os.link(draft, path)  # the first of two at once wins, whole
                except FileExistsError:
                    pass
                finally:
                    draft.unlink()
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
            self.problem = f"{path} is damaged; remove the folder {self.folder}"
        except OSError as error:
            self.problem = f"no cache in {self.folder} ({error.strerror})"
        return os.urandom(KEY_BYTES)

    def _digest(self, name: str, data: bytes) -> bytes:
        return hashlib.blake2b(name.encode() + b"\0" + data, key=self._key, digest_size=DIGEST_BYTES).digest()

    def get(self, name: str) -> bytes | None:
        """The entry's content, None where there is none to be believed."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError:
            return None
        if hmac.compare_digest(data[:DIGEST_BYTES], self._digest(name, data[DIGEST_BYTES:])):
            return data[DIGEST_BYTES:]
        return None

    def names(self, prefix: str) -> list[str]:
        """The names of all entries that begin so, whether or not they are to be believed."""
        try:
            return [name for name in os.listdir(self.folder) if name.startswith(prefix)]
        except OSError:
            return []

    def put(self, name: str, data: bytes) -> bool:
        """Write an entry as a whole; False where the folder or the disk does not allow it."""
        draft = self.folder / f".{name}.{os.getpid()}"
        try:
            draft.write_bytes(self._digest(name, data) + data)
            draft.replace(self.folder / name)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            return False
        return True


def installed_version(package: str) -> str:
    """The name of the folder that describes an installed package, with its version; "" where there is none.

    `importlib.metadata` gives the same, and takes longer to import than all that a start asks of it.
    """
    for folder in filter(None, sys.path):
        found = [path.name for path in Path(folder).glob(f"{package}-*.*-info")]
        if found:
            return min(found)
    return ""


def processor_identity() -> str:
    """What of the host's processor decides whether native code made for it runs here."""
    wanted = ("model name", "flags", "CPU implementer", "Features")
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    except OSError:
        return "unknown"
    return "\n".join(line for line in lines if line.startswith(wanted))
