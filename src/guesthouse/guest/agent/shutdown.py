"""Switching the guest off, or starting it again, in the way that its first process knows."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.child import clean_up, execute
from guesthouse.guest.agent.text import ends
from guesthouse.guest.program.words import Buffer, System

LINK = Buffer(4096)
WORDS = Buffer(64)


def shut_down(m: System, mode: int) -> None:
    """Ask for it: systemd and busybox by their signals, any other first process by the usual command."""
    reboot = mode == protocol.REBOOT
    if m.call(linux.FACCESSAT, linux.AT_FDCWD, m.at(b"/run/systemd/system"), 0) == 0:
        m.call(linux.KILL, 1, linux.SIGRTMIN + (5 if reboot else 4))
        return
    size = m.call(linux.READLINKAT, linux.AT_FDCWD, m.at(b"/proc/1/exe"), m.at(LINK), 4095)
    if size > 0:
        m.store8(m.at(LINK) + size, 0)
        if ends(m, m.at(LINK), size, m.at(b"/busybox")) != 0:
            m.call(linux.KILL, 1, linux.SIGTERM if reboot else linux.SIGUSR2)
            return
    if m.call(linux.CLONE, linux.SIGCHLD, 0, 0, 0, 0) == 0:
        run_command(m, reboot)
        m.call(linux.EXIT_GROUP, 1)


def run_command(m: System, reboot: int) -> None:
    """Become `poweroff` or `reboot`; where there is neither, ask the kernel, with what is on disks written."""
    clean_up(m)
    m.call(linux.SETSID)
    words = m.at(WORDS)
    m.store64(words, 0)
    m.store64(words + 8, m.at(b"reboot") if reboot else m.at(b"poweroff"))
    m.store64(words + 16, 0)
    m.store64(words + 24, 0)
    execute(m, words + 8, words + 24)
    m.call(linux.SYNC)
    command = linux.REBOOT_RESTART if reboot else linux.REBOOT_POWER_OFF
    m.call(linux.REBOOT, linux.REBOOT_MAGIC1, linux.REBOOT_MAGIC2, command, 0)
