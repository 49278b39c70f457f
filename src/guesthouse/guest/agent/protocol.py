"""The numbers that the agent and the host agree on; `docs/guest-agent.md` says what they mean."""

VERSION = 1
PORT = b"guesthouse.agent"

MARK = b"\xff\xff\xff\xffguesthouse\r\n"
"""16 bytes with which either side begins a conversation; no frame begins so."""

HEADER = 16
"""Bytes of a frame's head: length of the payload, kind, channel, argument, each 32 bits."""
MOST_PAYLOAD = 32 << 10
FRAME = HEADER + MOST_PAYLOAD
"""Bytes of the longest frame: the payload is padded to a multiple of 8."""
PADDING = b"\xff" * FRAME
"""Sent before the mark where the other side may be amid a frame."""

WINDOW = 64 << 10
"""Bytes of a command's input that may be under way."""
MOST_CHANNELS = 128
MOST_START = 2 << 20
"""Bytes of one command's arguments, environment and the rest of its start."""
NOBODY = 0xFFFF_FFFF
"""User or group of a start: the agent's own."""

# To the guest.
HELLO, ARGUMENTS, START, INPUT, INPUT_END, OUTPUT_CREDIT, ERRORS_CREDIT = range(1, 8)
SIGNAL, RESIZE, PING, CLOSE, SHUTDOWN = range(8, 13)

# To the host.
READY, STARTED, FAILED, OUTPUT, ERRORS, OUTPUT_END, ERRORS_END, EXITED, INPUT_CREDIT, INPUT_CLOSED, PONG = range(65, 76)

# Flags of a start.
TERMINAL, INHERIT, CALLS, LINGER = 1, 2, 4, 8

# Arguments of a shutdown.
POWER_OFF, REBOOT = 0, 1

# System calls on behalf of the host: a request's head and a reply's, and the room that both have for data.
REQUEST, REPLY = 72, 16
MOST_DATA = 128 << 10
UP_TO_RESULT = 1 << 31
"""In a request's mask: the reply holds as many bytes as the call's result says."""
