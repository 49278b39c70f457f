"""What the user was asked once: texts by name in `config.toml`."""

import json
import re
import tomllib
from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.host.user_folders import config_folder, read_file, write_file

FILE_NAME = "config.toml"


def read_setting(name: str, folder: Path | None = None) -> str | None:
    """A setting's text, None where it was never set. Raises UserError where the file can't be understood."""
    value = _parse(_path(folder)).get(name)
    return value if isinstance(value, str) else None


def remember_setting(name: str, value: str, folder: Path | None = None) -> None:
    """Set it for later runs, leaving everything else in the file as it is."""
    path = _path(folder)
    _parse(path)
    text = (read_file(path) or b"").decode()
    kept = re.sub(rf"^{re.escape(name)}[ \t]*=.*\n?", "", text, count=1, flags=re.MULTILINE)
    write_file(path, f"{name} = {json.dumps(value)}\n{kept}".encode())


def _path(folder: Path | None) -> Path:
    return (folder or config_folder()) / FILE_NAME


def _parse(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads((read_file(path) or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The file {path} can't be understood ({error}); mend or remove it.") from error
