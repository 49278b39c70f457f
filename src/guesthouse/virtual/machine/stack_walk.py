"""Who called whom in a guest that stands still, by the chain of frame pointers, if its code keeps one.

A frame of RISC-V's convention ends where the frame pointer s0 points; below it lie the place to return to and the
caller's frame pointer. A function that calls none saves only the latter, right below: its return address is in ra.
"""

from __future__ import annotations

from guesthouse.errors import UserError
from guesthouse.virtual.devices.wires import BadAddress
from guesthouse.virtual.machine.inspection import VirtualMemory
from guesthouse.virtual.spec.state import ProcessorState

PAGE = 4096
RA, SP, S0 = 1, 2, 8
WORD = 8
DEEPEST = 64  # frames
LARGEST_STACK = 1 << 16  # bytes: none of a kernel's is larger
REMEMBERED = 64  # walks
ROOT = (1 << 44) - 1  # of satp: the page number of the page tables' root


class StackWalker:
    """Walks the stack of one processor; pages found once are taken to stay for some walks."""

    def __init__(self, state: ProcessorState, virtual: VirtualMemory) -> None:
        self._state = state
        self._virtual = virtual
        self._found: dict[tuple[int, int, int], int | None] = {}
        self._walks = 0

    def root(self) -> int:
        """Guest-physical page number of the page tables in use, 0 where there are none."""
        return int(self._state.satp) & ROOT if self._state.mode != 3 else 0

    def physical(self, address: int) -> int:
        """Guest-physical address of a guest-virtual one, -1 where that is no RAM."""
        key = int(self._state.mode), self.root(), address // PAGE
        if key not in self._found:
            self._found[key] = self._virtual.translate_page(address)
        page = self._found[key]
        return -1 if page is None else page | address % PAGE

    def walk(self) -> tuple[int, ...]:
        """The pc, then the places to return to, innermost first; the pc alone where there is no chain of frames."""
        self._walks += 1
        if self._walks % REMEMBERED == 0:
            self._found.clear()
        x = self._state.x
        found = [int(self._state.pc)]
        frame, low = int(x[S0]), int(x[SP])
        high = low + LARGEST_STACK
        while len(found) < DEEPEST and low <= frame <= high and frame % WORD == 0 and low:
            saved, outer = self._word(frame - WORD), self._word(frame - 2 * WORD)
            if saved is None or outer is None:
                break
            if len(found) == 1 and frame < saved <= high and saved % WORD == 0:
                saved, outer = int(x[RA]), saved
            if not saved or saved % 2:
                break
            found.append(saved)
            low, frame = frame + 1, outer
        return tuple(found)

    def _word(self, address: int) -> int | None:
        physical = self.physical(address) if address > 0 else -1
        if physical < 0:
            return None
        try:
            return self._virtual.memory.load(physical, WORD)
        except (UserError, BadAddress):
            return None
