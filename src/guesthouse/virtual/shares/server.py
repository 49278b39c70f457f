"""The 9P2000.L server: a request's bytes in, its answer's bytes out."""

import errno
from collections.abc import Callable
from typing import Any, Generic

from guesthouse.virtual.shares.attribute_operations import AttributeOperations
from guesthouse.virtual.shares.fid_operations import FidOperations
from guesthouse.virtual.shares.file_operations import FileOperations
from guesthouse.virtual.shares.folder import PlaceType
from guesthouse.virtual.shares.messages import (
    HEAD,
    LAYOUTS,
    NUMBERS,
    RESET,
    RESET_DONE,
    Layout,
    Malformed,
    answer,
    decode,
    error_answer,
)
from guesthouse.virtual.shares.name_operations import NameOperations
from guesthouse.virtual.shares.session import Session

Operation = Callable[..., bytes | memoryview]


class Server(Generic[PlaceType]):
    """Answers the requests of one guest, one after the other; whatever they are, nothing but an answer comes of it."""

    def __init__(self, session: Session[PlaceType]) -> None:
        self._session = session
        parts: tuple[Any, ...] = (
            FidOperations(session),
            NameOperations(session),
            FileOperations(session),
            AttributeOperations(session),
        )
        self._operations: dict[int, tuple[Layout, Operation]] = {}
        for name, number in NUMBERS.items():
            method = next(getattr(part, name) for part in parts if hasattr(type(part), name))
            self._operations[number] = LAYOUTS[number], method

    def answer(self, message: memoryview) -> bytes | memoryview:
        """The answer to a request of at least a head; valid until the next call."""
        _, kind, tag = HEAD.unpack_from(message)
        if kind == RESET:
            self._session.end()
            return answer(RESET_DONE, tag, b"")
        known = self._operations.get(kind)
        if known is None:
            return error_answer(tag, errno.EOPNOTSUPP)
        layout, operation = known
        try:
            if len(message) > self._session.size:
                raise Malformed("a message larger than agreed")
            body = operation(*decode(layout, message))
        except OSError as error:
            return error_answer(tag, error.errno or errno.EIO)
        except (Malformed, OverflowError, ValueError):
            return error_answer(tag, errno.EINVAL)
        finally:
            self._session.folder.trim()
        if isinstance(body, memoryview):
            HEAD.pack_into(body, 0, len(body), kind + 1, tag)
            return body
        return answer(kind + 1, tag, body)
