"""Parts of a request's buffers."""

from collections.abc import Sequence


def part(buffers: Sequence[bytes | memoryview], start: int, length: int) -> list[memoryview]:
    """The bytes from `start` on of buffers that lie one behind the other, as views."""
    found = []
    for buffer in buffers:
        size = len(buffer)
        if start >= size:
            start -= size
            continue
        view = memoryview(buffer)[start : start + length]
        found.append(view)
        start = 0
        length -= len(view)
        if not length:
            break
    return found


def clear(buffers: Sequence[memoryview], done: int = 0) -> None:
    """Zero buffers that lie one behind the other, from the byte `done` on."""
    for buffer in buffers:
        if done < len(buffer):
            buffer[max(done, 0) :] = bytes(len(buffer) - max(done, 0))
        done -= len(buffer)
