"""The machine's end of a shared folder: between the device and the process that serves the folder."""

import time
from collections.abc import Sequence
from typing import Self

from guesthouse.guest.definition import Share
from guesthouse.host.companion import Companion
from guesthouse.host.shared_folder import opened_folder
from guesthouse.virtual.devices.wires import ShareDevice
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.shares.messages import HEAD, MOST_SIZE, OPTIONS, RESET, RESET_DONE

SERVER = "guesthouse.virtual.shares.companion"
NAME = "guest folder"
PATIENCE = 0.0005
"""Seconds that a guest's processor waits for an answer; to sleep and be woken takes longer than most answers do."""
LONG_PATIENCE = 30.0
"""Likewise where time is counted."""


class ShareLink:
    """One shared folder and its process, which is started here: before this one is confined.

    The machine's thread uses it. Raises UserError where the folder can't be opened.
    """

    def __init__(self, share: Share) -> None:
        with opened_folder(share.folder) as folder:
            first = OPTIONS.pack(share.readonly, share.uid, share.gid)
            self._companion = Companion(SERVER, NAME, [folder], first, MOST_SIZE)
        self.tag = share.tag.encode()
        self._patience = PATIENCE
        self._inbox: Inbox | None = None
        self._device: ShareDevice | None = None
        self._under_way = 0
        self._expecting = False
        self._serial = 0
        self._used = False
        self._resetting = False

    def connect(self, inbox: Inbox, wait: bool) -> None:
        """Tell it where calls are posted to; with `wait` every answer is waited for, as where time is counted."""
        self._inbox = inbox
        if wait:
            self._patience = LONG_PATIENCE

    # What the device calls.

    def attach(self, device: ShareDevice) -> None:
        """Take the device."""
        self._device = device

    @property
    def ready(self) -> bool:
        """Whether a message is taken now."""
        return self._companion.ready

    def send(self, parts: Sequence[memoryview]) -> None:
        """Take one message."""
        self._used = True
        self._under_way += 1
        self._companion.send(parts)

    def flush(self) -> None:
        """Wait for answers a little; those that take longer come by the inbox."""
        until = time.monotonic() + self._patience
        while self._under_way and self._companion.wait(max(0.0, until - time.monotonic())):
            self._take()
        self._watch()

    def reset(self) -> None:
        """Have the server forget everything; answers are dropped until it says that it has."""
        self._under_way = 0
        if self._used:
            self._used = False
            self._resetting = True
            self._serial = self._serial + 1 & 0xFFFF
            self._companion.send([memoryview(HEAD.pack(HEAD.size, RESET, self._serial))])
            self._watch()

    # What comes back.

    def _watch(self) -> None:
        """Have the machine's thread called when there is an answer."""
        assert self._inbox is not None
        expecting = (self._under_way > 0 or self._resetting) and not self._companion.ended
        self._inbox.expected += expecting - self._expecting
        self._expecting = expecting
        if expecting:
            self._companion.watch(self._called)

    def _called(self) -> None:
        assert self._inbox is not None
        self._inbox.post(self._woken)

    def _woken(self) -> None:
        self._companion.push()
        self._take()
        self._watch()

    def _take(self) -> None:
        """Hand over what has come."""
        device = self._device
        assert device is not None
        for message in self._companion.receive():
            _, kind, tag = HEAD.unpack_from(message)
            if kind == RESET_DONE:
                self._resetting = self._resetting and tag != self._serial
            elif not self._resetting:
                self._under_way -= 1
                device.answer(message)
        if self._companion.ended:
            self._under_way = 0
            device.fail()
        else:
            device.proceed()

    def close(self) -> None:
        """End the process."""
        self._companion.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
