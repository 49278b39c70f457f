"""Throw-away keys of archives."""

from pysequoia import SignatureMode, Tsk, sign


class Key:
    """A key pair that signs like an archive."""

    def __init__(self) -> None:
        self._secret = Tsk.generate("Archive <archive@example.org>")

    @property
    def public(self) -> bytes:
        """What a keyring file holds of it."""
        return bytes(self._secret.extract_certificate())

    def clear_sign(self, text: bytes) -> bytes:
        """The text, clear-signed."""
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.CLEAR))
