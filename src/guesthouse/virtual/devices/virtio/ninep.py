"""The virtio 9P transport (section 5.18 of later drafts; Linux's net/9p/trans_virtio.c): a pipe to a 9P server.

Each chain holds one request, and has room for its answer. The device reads no more of it than the head: size, type and
tag. The server gets the number of the chain's place here for a tag, so that a guest which uses a tag twice confuses
nobody but itself. What is no request is answered with an error, as is everything once the server is gone.

Not modelled: nothing.
"""

import errno
import struct
from typing import ClassVar

from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import Chain
from guesthouse.virtual.devices.wires import BadAddress, ShareBackend

MOUNT_TAG = 0
QUEUE_SIZE = 128
HEAD = struct.Struct("<IBH")
TAG = struct.Struct("<H")
TAG_OFFSET = 5
NO_TAG = 0xFFFF
LONGEST = 512 << 10
FIRST_REQUEST = 8
"""The lowest type of a request; all of them are even."""
ERROR_ANSWER = struct.Struct("<IBHI")
ERROR = 7


class VirtioNinep(Function):
    """A share, found by its tag."""

    device_id: ClassVar[int] = 9
    queue_sizes = (QUEUE_SIZE,)
    features = 1 << MOUNT_TAG

    def __init__(self, backend: ShareBackend | None) -> None:
        self.backend = backend
        self.tag = backend.tag if backend is not None else b""
        self.registers = (
            Register("tag_length", 0, 2, "bytes of the tag", stored=False),
            Register("tag", 2, 1, "the share's name, not ended by a zero byte", stored=False, count=len(self.tag)),
        )
        if backend is not None:
            backend.attach(self)
        self._held_up = False
        """There may be requests waiting that the server had no room for."""
        self._under_way: dict[int, tuple[Chain, int]] = {}
        self._free = list(range(QUEUE_SIZE))
        self.start()

    def on_read_tag_length(self) -> int:
        """Answer the tag's length."""
        return len(self.tag)

    def on_read_tag(self, index: int) -> int:
        """Answer one byte of the tag."""
        return self.tag[index]

    def resume(self) -> None:
        """Forget what was under way before a reset; the server forgets all that the guest has opened."""
        self._held_up = False
        self._under_way.clear()
        self._free = list(range(QUEUE_SIZE))
        if self.backend is not None:
            self.backend.reset()

    def notify(self, queue: int) -> None:
        """Send the waiting requests on."""
        self._send_on()
        if self.backend is not None:
            self.backend.flush()
        self.transport.settle(0)

    def proceed(self) -> None:
        """Send on what has been held up, and tell the driver of what has been answered."""
        if self._held_up:
            self._send_on()
        self.transport.settle(0)

    def _send_on(self) -> None:
        """Take what waits, as far as the server takes it."""
        self._held_up = False
        while self._free and (self.backend is None or self.backend.ready):
            chain = self.transport.take(0)
            if chain is None:
                return
            self._forward(chain)
        self._held_up = True

    def _forward(self, chain: Chain) -> None:
        memory, length = self.transport.memory, chain.to_read
        try:
            head = chain.read(memory, 0, HEAD.size)
            if len(head) < HEAD.size:
                self._refuse(chain, NO_TAG, errno.EINVAL)
                return
            size, kind, tag = HEAD.unpack(head)
            if size != length or size > LONGEST or kind < FIRST_REQUEST or kind % 2:
                self._refuse(chain, tag, errno.EMSGSIZE if size > LONGEST else errno.EINVAL)
            elif self.backend is None:
                self._refuse(chain, tag, errno.EIO)
            else:
                body = chain.views(memory, HEAD.size, length - HEAD.size)
                place = self._free.pop()
                self._under_way[place] = chain, tag
                self.backend.send([memoryview(HEAD.pack(size, kind, place)), *body])
        except BadAddress:
            self._refuse(chain, NO_TAG, errno.EFAULT)

    def answer(self, message: memoryview) -> None:
        """Take an answer of the server's; `proceed` follows behind the last of some."""
        (place,) = TAG.unpack_from(message, TAG_OFFSET)
        found = self._under_way.pop(place, None)
        if found is None:
            return
        self._free.append(place)
        chain, tag = found
        if len(message) > chain.to_write:
            self._refuse(chain, tag, errno.EMSGSIZE)
            return
        TAG.pack_into(message, TAG_OFFSET, tag)
        self._write(chain, message)

    def fail(self) -> None:
        """The server is gone: whatever was sent to it fails."""
        self.backend = None
        for chain, tag in self._under_way.values():
            self._refuse(chain, tag, errno.EIO)
        self._under_way.clear()
        self._free = list(range(QUEUE_SIZE))
        self.proceed()

    def _refuse(self, chain: Chain, tag: int, number: int) -> None:
        data = ERROR_ANSWER.pack(ERROR_ANSWER.size, ERROR, tag, number)
        self._write(chain, data if chain.to_write >= len(data) else b"")

    def _write(self, chain: Chain, data: bytes | memoryview) -> None:
        try:
            chain.write(self.transport.memory, 0, data)
        except BadAddress:
            data = b""
        self.transport.give(0, chain, len(data))
