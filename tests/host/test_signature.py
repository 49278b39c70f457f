from pathlib import Path

import pytest
from pysequoia import ArmorKind, armor

from guesthouse.errors import UserError
from guesthouse.host.signature import find_keyring, read_keyring, verify_signed_text
from tests.host.signing import Key

KEY, OTHER = Key(), Key()
TEXT = b"Origin: Debian\n- dashed\nSuite: stable\n"


def keyring(folder: Path, *keys: Key) -> Path:
    path = folder / "keyring.gpg"
    path.write_bytes(b"".join(key.public for key in keys))
    return path


def test_the_signed_text_comes_back(tmp_path: Path) -> None:
    certificates = read_keyring(keyring(tmp_path, OTHER, KEY))
    assert len(certificates) == 2
    assert verify_signed_text(KEY.clear_sign(TEXT), certificates, "It") == TEXT


def test_an_armored_keyring_will_do(tmp_path: Path) -> None:
    path = tmp_path / "keyring.asc"
    path.write_text(armor(KEY.public, ArmorKind.PublicKey))
    assert verify_signed_text(KEY.clear_sign(TEXT), read_keyring(path), "It") == TEXT


def test_text_around_the_signed_message_is_not_believed(tmp_path: Path) -> None:
    certificates = read_keyring(keyring(tmp_path, KEY))
    assert verify_signed_text(KEY.clear_sign(TEXT) + b"Suite: evil\n", certificates, "It") == TEXT
    with pytest.raises(UserError, match="not signed"):
        verify_signed_text(b"Suite: evil\n" + KEY.clear_sign(TEXT), certificates, "It")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT,
        b"<html>sign in</html>",
        KEY.clear_sign(TEXT).replace(b"stable", b"static"),
        KEY.clear_sign(TEXT)[:150],
        OTHER.clear_sign(TEXT),
        b"-----BEGIN PGP SIGNED MESSAGE-----\n\x00\xff",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UserError, match="It is not signed") as caught:
        verify_signed_text(data, read_keyring(keyring(tmp_path, KEY)), "It")
    assert "\n" not in str(caught.value)


def test_the_hosts_keyring_is_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="install the package debian-archive-keyring"):
        find_keyring(tmp_path)
    path = tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_keyring(tmp_path) == path


@pytest.mark.parametrize("content", [None, b"", b"not a keyring"])
def test_unusable_keyrings_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keyring"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="--keyring"):
        read_keyring(path)
