"""The child: what it does between the fork and the command's first instruction."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.calls import serve_calls
from guesthouse.guest.agent.text import begins, copy, find, length
from guesthouse.guest.program.words import Buffer, System

REPORT = Buffer(16)
ACTION = Buffer(64)
PATH = Buffer(4096 + 8)
USUAL_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COLON, SLASH = 58, 47
LAST = 0xFFFF_FFFF


def become(m: System, streams: int, record: int, arguments: int, directory: int, flags: int) -> None:
    """Become a command; comes back only where that can't be, after reporting why.

    `streams` holds its input, output and error output and the pipe of the report, 8 bytes each; `record` begins with
    user, group and number of further groups.
    """
    report = m.load64(streams + 24)
    clean_up(m)
    m.call(linux.SETSID)
    for number in range(3):
        m.call(linux.DUP3, m.load64(streams + 8 * number), number, 0)
    if flags & protocol.TERMINAL != 0:
        m.call(linux.IOCTL, 0, linux.TIOCSCTTY, 0)
    error = change_user(m, record)
    if error == 0 and m.load8(directory) != 0:
        error = m.call(linux.CHDIR, directory)
    if error == 0 and flags & protocol.CALLS != 0:
        if m.call(linux.CLOSE_RANGE, 3, LAST, 0) < 0:
            for number in range(3, 1024):
                m.call(linux.CLOSE, number)
        serve_calls(m)
        m.call(linux.EXIT_GROUP, 0)
    if error == 0:
        variables = arguments
        while m.load64(variables) != 0:
            variables += 8
        error = execute(m, arguments, variables + 8)
    m.store64(m.at(REPORT), -error)
    m.call(linux.WRITE, report, m.at(REPORT), 8)


def clean_up(m: System) -> None:
    """Undo what the agent, or who started it, has set for itself: handling of signals, mask of files, descriptors."""
    for number in range(1, linux.SIGNALS + 1):
        m.call(linux.SIGACTION, number, m.at(ACTION), 0, 8)
    m.call(linux.SIGPROCMASK, linux.SIG_SETMASK, m.at(ACTION), 0, 8)
    m.call(linux.UMASK, 0o22)
    m.call(linux.CLOSE_RANGE, 3, LAST, linux.CLOSE_RANGE_CLOEXEC)


def change_user(m: System, record: int) -> int:
    """Take the user and groups that the record names; gives a negative error number, 0 for none."""
    uid, gid, groups = m.load32(record), m.load32(record + 4), m.load32(record + 8)
    error = 0
    if gid != protocol.NOBODY:
        error = m.call(linux.SETGROUPS, groups, record + 24)
        if error == 0:
            error = m.call(linux.SETRESGID, gid, gid, gid)
    if error == 0 and uid != protocol.NOBODY:
        error = m.call(linux.SETRESUID, uid, uid, uid)
    return error


def execute(m: System, arguments: int, variables: int) -> int:
    """Run a program: by its path, or in the first folder of PATH that has it; gives a negative error number."""
    name = m.load64(arguments)
    if name == 0 or m.load8(name) == 0:
        return -linux.ENOENT
    if m.load8(name + find(m, name, SLASH)) != 0:
        return execute_file(m, name, arguments, variables)
    path = m.at(USUAL_PATH)
    entry = variables
    while m.load64(entry) != 0:
        if begins(m, m.load64(entry), m.at(b"PATH="), 5) != 0:
            path = m.load64(entry) + 5
        entry += 8
    worst = -linux.ENOENT
    while m.load8(path) != 0:
        size = find(m, path, COLON)
        if size > 0 and size + length(m, name) + 2 <= 4096:
            copy(m, m.at(PATH), path, size)
            m.store8(m.at(PATH) + size, SLASH)
            copy(m, m.at(PATH) + size + 1, name, length(m, name) + 1)
            error = execute_file(m, m.at(PATH), arguments, variables)
            if error != -linux.ENOENT and error != -linux.ENOTDIR and error != -linux.EACCES:
                return error
            worst = error if error == -linux.EACCES else worst
        path += size
        if m.load8(path) != 0:
            path += 1
    return worst


def execute_file(m: System, path: int, arguments: int, variables: int) -> int:
    """Run one file; a script that does not name its shell gets the usual one."""
    error = m.call(linux.EXECVE, path, arguments, variables)
    if error == -linux.ENOEXEC:
        m.store64(arguments, path)
        m.store64(arguments - 8, m.at(b"sh"))
        error = m.call(linux.EXECVE, m.at(b"/bin/sh"), arguments - 8, variables)
    return error
