"""Who owns a file and what its mode is, as the guest sees it, on a host where everything belongs to one user.

What the host can carry, it carries: files of the host's user are those of one guest user, and the nine permission bits
are the file's own. The rest (other owners; setuid, setgid, sticky; permissions that would lock the host's user out) is
kept in the extended attribute `user.guesthouse.attributes`, as text: `uid gid mode host`, the modes in octal, `-` for
what is not kept. `host` is the host's mode at that time: where the host changes it later, the kept mode is void.
"""

import os
import stat

import msgspec

ATTRIBUTE = b"user.guesthouse.attributes"
HIDDEN = b"user.guesthouse."
"""What the names of our own attributes begin with; the guest does not see them."""
PERMISSIONS, ALL_BITS = 0o777, 0o7777
NOBODY = 65534
"""The owner of files of other users of the host."""
LONGEST = 64


class Kept(msgspec.Struct, frozen=True):
    """What the attribute says; None for what it does not."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    host: int = 0


class Owner(msgspec.Struct, frozen=True):
    """What the guest sees: numbers of user and group, and the twelve bits of the mode."""

    uid: int
    gid: int
    mode: int


NOTHING = Kept()


def parse(data: bytes) -> Kept:
    """Read the attribute; what makes no sense (anybody may have written it) keeps nothing."""
    words = data.split(b" ")
    try:
        if len(data) > LONGEST or len(words) != 4:
            return NOTHING
        uid, gid = (None if word == b"-" else int(word) & 0xFFFF_FFFF for word in words[:2])
        mode = None if words[2] == b"-" else int(words[2], 8) & ALL_BITS
        return Kept(uid, gid, mode, int(words[3], 8) & ALL_BITS)
    except ValueError:
        return NOTHING


class Ownership(msgspec.Struct, frozen=True):
    """How owners are told: the host's user and group are `uid` and `gid` to the guest."""

    host_uid: int
    host_gid: int
    uid: int = 0
    gid: int = 0

    def seen(self, found: os.stat_result, kept: Kept) -> Owner:
        """What the guest sees of a file with these attributes."""
        mode = found.st_mode & ALL_BITS
        uid = self.uid if found.st_uid == self.host_uid else NOBODY
        gid = self.gid if found.st_gid == self.host_gid else NOBODY
        return Owner(
            uid if kept.uid is None else kept.uid,
            gid if kept.gid is None else kept.gid,
            kept.mode if kept.mode is not None and kept.host == mode else mode,
        )

    def host_mode(self, mode: int, directory: bool) -> int:
        """The mode that the file gets on the host: never setuid, and never one that locks the host's user out."""
        return mode & PERMISSIONS | (stat.S_IRWXU if directory else stat.S_IRUSR | stat.S_IWUSR)

    def to_keep(self, wanted: Owner, found: os.stat_result) -> bytes:
        """The attribute with which the guest sees what is wanted of a file of the host's; b"" where none is needed."""
        plain = self.seen(found, NOTHING)
        host = found.st_mode & ALL_BITS
        if plain == wanted:
            return b""
        uid = "-" if plain.uid == wanted.uid else str(wanted.uid)
        gid = "-" if plain.gid == wanted.gid else str(wanted.gid)
        mode = "-" if plain.mode == wanted.mode else f"{wanted.mode:o}"
        return f"{uid} {gid} {mode} {host:o}".encode()
