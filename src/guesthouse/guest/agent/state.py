"""What the agent remembers: words by name, and the table of channels."""

from guesthouse.guest.agent import protocol
from guesthouse.guest.program.words import Buffer, System

FIELDS = 13
(PORT_FD, SIGNAL_FD, IN_END, LOST, OUT_START, OUT_END, STAGED, ENVIRONMENT, ONCE, DOWN, NAME, POLLED, HAILED) = range(
    0, 8 * FIELDS, 8
)
"""`IN_END`, `OUT_START`, `OUT_END`, `STAGED`: places in the buffers. `LOST`: looking for the mark. `ENVIRONMENT`: our
own, an address. `ONCE`: the port is a stream that ends. `DOWN`: the host has closed its end. `NAME`: the port's.
`HAILED`: a mark came last."""

STATE = Buffer(8 * FIELDS)

CHANNEL_SIZE = 128
(ID, PID, IN_FD, OUT_FD, ERR_FD, REPORT_FD, FLAGS, STATUS) = range(0, 64, 8)
(OUT_CREDIT, ERR_CREDIT, OUT_LEFT, ERR_LEFT, INPUT, IN_FROM, IN_TO, MARKS) = range(64, 128, 8)
"""`ID` 0: the channel is free. `REPORT_FD`: where the child says why it could not start. `STATUS`: as waited for, -1
before. `OUT_LEFT`, `ERR_LEFT`: bytes still to be read where the command has ended, -1 until the end of file. `INPUT`:
memory with the input from `IN_FROM` to `IN_TO` that the command has not taken, 0 for none yet."""

DIRTY, TOLD, ENDED = 1, 2, 4
"""In `MARKS`: something is to be done; the host knows the status; the input ends behind what is waiting."""

TABLE = Buffer(protocol.MOST_CHANNELS * CHANNEL_SIZE)


def get(m: System, field: int) -> int:
    """A word of the state."""
    return m.load64(m.at(STATE) + field)


def put(m: System, field: int, value: int) -> None:
    """Change a word of the state."""
    m.store64(m.at(STATE) + field, value)


def channel_at(m: System, index: int) -> int:
    """The address of a channel's entry."""
    return m.at(TABLE) + index * CHANNEL_SIZE


def find_channel(m: System, field: int, value: int) -> int:
    """The first channel in whose entry a field has this value, 0 where none has."""
    for index in range(protocol.MOST_CHANNELS):
        channel = channel_at(m, index)
        if m.load64(channel + field) == value and (field == ID or m.load64(channel + ID) != 0):
            return channel
    return 0


def mark(m: System, channel: int, bits: int) -> None:
    """Set marks of a channel."""
    m.store64(channel + MARKS, m.load64(channel + MARKS) | bits)
