"""The agent's first function and its loop."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.channel import attend, lose_reader, reap
from guesthouse.guest.agent.input import announce, forget_session, obey_all, receive
from guesthouse.guest.agent.output import flush, roomy
from guesthouse.guest.agent.port import AT, open_port
from guesthouse.guest.agent.state import (
    DIRTY,
    DOWN,
    ENVIRONMENT,
    ERR_CREDIT,
    ERR_FD,
    FLAGS,
    ID,
    IN_END,
    IN_FD,
    IN_FROM,
    IN_TO,
    LOST,
    MARKS,
    NAME,
    ONCE,
    OUT_CREDIT,
    OUT_END,
    OUT_FD,
    OUT_START,
    POLLED,
    PORT_FD,
    REPORT_FD,
    SIGNAL_FD,
    channel_at,
    get,
    mark,
    put,
)
from guesthouse.guest.program.words import Buffer, System

TIME = Buffer(16)
SIGNALS = Buffer(128)
DEFAULT = Buffer(64)
"""Of a signal: what the kernel does by itself."""

MOST_POLLED = 2 + 3 * protocol.MOST_CHANNELS
POLL = Buffer(8 * MOST_POLLED)
OWNERS = Buffer(8 * MOST_POLLED)
"""The channel that each polled descriptor belongs to, 0 for none."""

RETRY = 50_000_000
"""Nanoseconds until we look again for a host at the other end, or for the port: there longer each time."""
LONGEST_RETRY = 900_000_000
TRIES = 130
NO_PORT = 69
"""The status it ends with where the machine has no port for it, after two minutes."""


def main(m: System, stack: int) -> int:
    """Serve the host for ever; `stack` is what the kernel gives a program: count and addresses of arguments, ..."""
    count = m.load64(stack)
    put(m, ENVIRONMENT, stack + 8 * (count + 2))
    name = m.load64(stack + 16) if count > 1 else m.at(protocol.PORT)
    put(m, NAME, name)
    put(m, ONCE, m.load8(name) == AT)
    while 0 <= m.call(linux.OPENAT, linux.AT_FDCWD, m.at(b"/dev/null"), linux.O_RDWR | linux.O_CLOEXEC, 0) <= 2:
        pass
    m.call(linux.SIGACTION, linux.SIGCHLD, m.at(DEFAULT), 0, 8)  # who starts us may ignore it, and we would never hear
    # Signals that we wait for, and the one that writing to a closed pipe would end us with.
    m.store64(m.at(SIGNALS), 1 << linux.SIGCHLD - 1)
    put(m, SIGNAL_FD, m.call(linux.SIGNALFD4, -1, m.at(SIGNALS), 8, linux.O_CLOEXEC | linux.O_NONBLOCK))
    m.store64(m.at(SIGNALS), 1 << linux.SIGCHLD - 1 | 1 << linux.SIGPIPE - 1)
    m.call(linux.SIGPROCMASK, linux.SIG_SETMASK, m.at(SIGNALS), 0, 8)
    put(m, PORT_FD, await_port(m, name))
    if get(m, PORT_FD) < 0:
        return NO_PORT
    announce(m, 0)
    while 1:
        flush(m)
        if get(m, DOWN) != 0:
            forget_session(m)
            if get(m, ONCE) != 0:
                return 0
            put(m, OUT_START, 0)
            put(m, OUT_END, 0)
            put(m, IN_END, 0)
            put(m, LOST, 1)
        wait(m)
        look(m)


def await_port(m: System, name: int) -> int:
    """Open the port as soon as it is there; negative where it does not come."""
    rest = RETRY
    for _ in range(TRIES):
        port = open_port(m, name)
        if port >= 0:
            return port
        m.store64(m.at(TIME), 0)
        m.store64(m.at(TIME) + 8, rest)
        m.call(linux.NANOSLEEP, m.at(TIME), 0)
        rest = rest + RETRY if rest < LONGEST_RETRY else rest
    return -1


def add(m: System, descriptor: int, events: int, owner: int) -> None:
    """Have a descriptor looked at."""
    index = get(m, POLLED)
    m.store32(m.at(POLL) + 8 * index, descriptor)
    m.store32(m.at(POLL) + 8 * index + 4, events)
    m.store64(m.at(OWNERS) + 8 * index, owner)
    put(m, POLLED, index + 1)


def wait(m: System) -> None:
    """Wait until there is something to do."""
    put(m, POLLED, 0)
    down, able = get(m, DOWN), roomy(m)
    pending = linux.POLLOUT if get(m, OUT_START) < get(m, OUT_END) else 0
    add(m, -1 if down != 0 else get(m, PORT_FD), pending | (linux.POLLIN if able else 0), 0)
    add(m, get(m, SIGNAL_FD), linux.POLLIN, 0)
    rest = RETRY if down != 0 else -1
    for index in range(protocol.MOST_CHANNELS):
        channel = channel_at(m, index)
        if m.load64(channel + ID) != 0 and able != 0:
            add_channel(m, channel)
            if m.load64(channel + MARKS) & DIRTY != 0:
                rest = 0
    m.store64(m.at(TIME), 0)
    m.store64(m.at(TIME) + 8, rest)
    m.call(linux.PPOLL, m.at(POLL), get(m, POLLED), m.at(TIME) if rest >= 0 else 0, 0, 8)


def add_channel(m: System, channel: int) -> None:
    """What a channel waits for; its streams only once the command is known to run."""
    if m.load64(channel + REPORT_FD) >= 0:
        add(m, m.load64(channel + REPORT_FD), linux.POLLIN, channel)
        return
    if m.load64(channel + OUT_FD) >= 0 and m.load64(channel + OUT_CREDIT) > 0:
        add(m, m.load64(channel + OUT_FD), linux.POLLIN, channel)
    if m.load64(channel + ERR_FD) >= 0 and m.load64(channel + ERR_CREDIT) > 0:
        add(m, m.load64(channel + ERR_FD), linux.POLLIN, channel)
    waits = m.load64(channel + IN_FROM) < m.load64(channel + IN_TO)
    if m.load64(channel + IN_FD) >= 0 and (waits or m.load64(channel + FLAGS) & protocol.TERMINAL == 0):
        add(m, m.load64(channel + IN_FD), linux.POLLOUT if waits else 0, channel)


def look(m: System) -> None:
    """Do what has come up."""
    if get(m, DOWN) != 0:
        reconnect(m)
    if events(m, 1) != 0:
        m.call(linux.READ, get(m, SIGNAL_FD), m.at(SIGNALS), 128)
        reap(m)
    for index in range(2, get(m, POLLED)):
        channel = m.load64(m.at(OWNERS) + 8 * index)
        if events(m, index) != 0:
            mark(m, channel, DIRTY)
            empty = m.load64(channel + IN_FROM) == m.load64(channel + IN_TO)
            descriptor = m.load32(m.at(POLL) + 8 * index)
            if descriptor == m.load64(channel + IN_FD) and empty and m.load64(channel + REPORT_FD) < 0:
                lose_reader(m, channel)
    if get(m, DOWN) == 0:
        if events(m, 0) & ~linux.POLLOUT != 0:
            receive(m)
        obey_all(m)
    for index in range(protocol.MOST_CHANNELS):
        if m.load64(channel_at(m, index) + MARKS) & DIRTY != 0 and roomy(m) != 0:
            attend(m, channel_at(m, index))


def events(m: System, index: int) -> int:
    """What has happened to a polled descriptor."""
    return m.load16(m.at(POLL) + 8 * index + 6)


def reconnect(m: System) -> None:
    """See whether there is a host again: a port without one reads as ended."""
    put(m, DOWN, 0)
    receive(m)
    if get(m, DOWN) == 0:
        announce(m, 0)
