"""The keys that talk to Guesthouse and not to the guest: Ctrl-A and one more."""

from enum import Enum

PREFIX = 0x01  # Ctrl-A
HELP = (
    "Ctrl-A x   quit: the machine is switched off\n"
    "Ctrl-A h   this help\n"
    "Ctrl-A a   send Ctrl-A to the guest (so does Ctrl-A Ctrl-A)\n"
)


class Action(Enum):
    """What the user asked of Guesthouse."""

    QUIT = "x"
    HELP = "h"


class EscapeKeys:
    """Splits what is typed into what is for the guest and what is for us."""

    def __init__(self) -> None:
        self._pending = False

    def feed(self, data: bytes) -> tuple[bytes, list[Action]]:
        """The bytes for the guest, and actions in order; another key after Ctrl-A is dropped with it."""
        plain = bytearray()
        actions = []
        for byte in data:
            if not self._pending:
                if byte == PREFIX:
                    self._pending = True
                else:
                    plain.append(byte)
                continue
            self._pending = False
            if byte in (PREFIX, ord("a"), ord("A")):
                plain.append(PREFIX)
            elif byte in b"xX":
                actions.append(Action.QUIT)
            elif byte in b"hH?":
                actions.append(Action.HELP)
        return bytes(plain), actions
