"""A file in memory that remembers its writes, loses those not flushed, and can be full."""

import errno
import random


class RecordedFile:
    """Implements `File`; `log` has ("write", offset, data), ("size", n) and ("flush",) in order."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.log: list[tuple] = []
        self.budget: int | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    def preadv(self, buffers, offset: int) -> int:
        done = 0
        for buffer in buffers:
            piece = self.data[offset + done : offset + done + len(buffer)]
            buffer[: len(piece)] = piece
            done += len(piece)
        return done

    def pwritev(self, buffers, offset: int) -> None:
        if self.budget is not None:
            self.budget -= 1
            if self.budget < 0:
                raise OSError(errno.ENOSPC, "no space")
        data = b"".join(buffers)
        self.log.append(("write", offset, data))
        apply(self.data, self.log[-1])

    def zero(self, offset: int, length: int, discard: bool) -> bool:
        return False

    def data_ranges(self, offset: int, length: int):
        yield offset, offset + length

    def truncate(self, size: int) -> None:
        self.log.append(("size", size))
        apply(self.data, self.log[-1])

    def flush(self) -> None:
        self.log.append(("flush",))

    def close(self) -> None:
        self.log.append(("close",))


def apply(data: bytearray, entry: tuple) -> None:
    """Do one change of the log."""
    if entry[0] == "write":
        _, offset, new = entry
        if len(data) < offset + len(new):
            data.extend(bytes(offset + len(new) - len(data)))
        data[offset : offset + len(new)] = new
    elif entry[0] == "size":
        del data[entry[1] :]
        data.extend(bytes(entry[1] - len(data)))


def after_crash(start: bytes, log: list[tuple], cut: int, chance: random.Random | None) -> bytes:
    """The file where the host stopped after `cut` changes; with `chance`, any of those not flushed are lost."""
    data = bytearray(start)
    flushed = max((at for at in range(cut) if log[at][0] == "flush"), default=0)
    for at in range(cut):
        if at < flushed or chance is None or chance.random() < 0.5:
            apply(data, log[at])
    return bytes(data)
