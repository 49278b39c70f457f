"""Verifies Debian's signatures with the keyring of the host."""

from collections.abc import Sequence
from pathlib import Path

from pysequoia import Cert, verify

from guesthouse.errors import UserError

KEYRINGS = (
    "usr/share/keyrings/debian-archive-keyring.pgp",
    "usr/share/keyrings/debian-archive-keyring.gpg",
    "etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
)
BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"


def find_keyring(root: Path = Path("/")) -> Path:
    """The host's keyring of Debian's archive. Raises UserError where it has none."""
    for name in KEYRINGS:
        if (root / name).is_file():
            return root / name
    raise UserError(
        "This host has no keyring of Debian's archive to check signatures with; "
        "install the package debian-archive-keyring or give the file with --keyring."
    )


def read_keyring(path: Path) -> list[Cert]:
    """The certificates of a keyring file, binary or armored. Raises UserError where it can't be read."""
    try:
        certificates: list[Cert] = list(Cert.split_file(str(path)))
    except Exception as error:
        raise UserError(f"The keyring {path} can't be read ({_first_line(error)}); give one with --keyring.") from error
    if not certificates:
        raise UserError(f"The keyring {path} holds no keys; give another one with --keyring.")
    return certificates


def verify_signed_text(data: bytes, certificates: Sequence[Cert], what: str) -> bytes:
    """The text that a clear-signed message holds, and nothing around it.

    `what` names the message in errors. Raises UserError unless one of the certificates made a valid signature on it.
    """
    if not data.lstrip().startswith(BEGIN):
        raise UserError(f"{what} is not signed; use another mirror.")
    try:
        result = verify(data, store=lambda _: list(certificates))
        text = result.bytes if result.valid_sigs else None
    except Exception as error:
        raise UserError(_refusal(what, _first_line(error))) from error
    if text is None:
        raise UserError(_refusal(what, "no valid signature"))
    return text


def _refusal(what: str, reason: str) -> str:
    return (
        f"{what} is not signed by a key of the keyring ({reason}); nothing was stored, use another mirror or --keyring."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
