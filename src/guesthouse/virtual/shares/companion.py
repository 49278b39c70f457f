"""The process that serves one folder to one guest: confined to that folder, it answers 9P requests until it is left.

Run by `host.companion` with two descriptors: the socket and the folder. The first bytes on the socket are the options.
"""

import os
import sys
from collections.abc import Sequence

from guesthouse.host.answering import allow_descriptors, serve_requests
from guesthouse.host.confinement import confine_to_folder
from guesthouse.host.shared_folder import MOST_OPEN, Place, SharedFolder
from guesthouse.host.worker_process import whole_life
from guesthouse.virtual.shares.fids import MOST_FILES
from guesthouse.virtual.shares.messages import HEAD, MOST_SIZE, OPTIONS
from guesthouse.virtual.shares.ownership import Ownership
from guesthouse.virtual.shares.server import Server
from guesthouse.virtual.shares.session import Session


def open_server(folder: int, readonly: bool, uid: int, gid: int, descriptors: int) -> Server[Place]:
    """The server of an open folder; places may have half of the descriptors, files a quarter, locks the rest."""
    shared = SharedFolder(folder, min(MOST_OPEN, descriptors // 2))
    ownership = Ownership(os.geteuid(), os.getegid(), uid, gid)
    return Server(Session(shared, ownership, readonly, min(MOST_FILES, descriptors // 4)))


def main(descriptors: Sequence[int]) -> None:
    """Serve the folder until the socket is closed, and end without ceremony."""
    link, folder = descriptors
    with whole_life():
        readonly, uid, gid = OPTIONS.unpack(os.read(link, OPTIONS.size))
        server = open_server(folder, readonly, uid, gid, allow_descriptors())
        os.umask(0)
        confine_to_folder(folder, readonly)
        serve_requests(link, server.answer, HEAD.size, MOST_SIZE)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:3]])
