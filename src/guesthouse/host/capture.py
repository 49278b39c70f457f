"""Frames into a file that tcpdump, tshark and scapy read: pcapng, with times in nanoseconds and directions.

Source: the IETF's pcapng draft (opsawg), sections 4.1 to 4.3.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable

from guesthouse.host.user_folders import told_plainly

SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
ETHERNET, NANOSECONDS = 1, 9
INTERFACE = struct.pack("<IIHHIHHBxxxHHI", 1, 32, ETHERNET, 0, 0, 9, 1, NANOSECONDS, 0, 0, 32)
"""One interface, option if_tsresol, any length of frames."""
PACKET = struct.Struct("<IIIIIII")
TAIL = struct.Struct("<HHIHHI")
"""Option epb_flags (the direction), end of options, the block's length again."""
INBOUND, OUTBOUND = 1, 2


class Capture:
    """A file that gets every frame as it passes; where the file takes no more, it ends with one warning."""

    def __init__(self, path: str, warn: Callable[[str], None] = lambda text: None) -> None:
        """Begin the file anew; raises UserError where it can't be written."""
        with told_plainly(f"write the capture {path}"):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.write(self._descriptor, SECTION + INTERFACE)
        self._path, self._warn = path, warn
        self._length = len(SECTION) + len(INTERFACE)

    def look(self, frame: bytes | memoryview, sent: bool) -> None:
        """Write one frame, `sent` by the guest or for it."""
        if self._descriptor < 0:
            return
        size = len(frame)
        padding = -size % 4
        total = PACKET.size + size + padding + TAIL.size
        now = time.time_ns()
        head = PACKET.pack(6, total, 0, now >> 32, now & 0xFFFF_FFFF, size, size)
        tail = bytes(padding) + TAIL.pack(2, 4, OUTBOUND if sent else INBOUND, 0, 0, total)
        try:
            written = os.writev(self._descriptor, (head, frame, tail))
            if written != total:
                os.ftruncate(self._descriptor, self._length)
                raise OSError(0, "no space left on device")
            self._length += total
        except OSError as error:
            self.close()
            why = (error.strerror or str(error)).lower()
            self._warn(f"The capture {self._path} takes no more frames ({why}); it ends here.")

    def close(self) -> None:
        """End the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
