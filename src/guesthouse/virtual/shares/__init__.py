"""Host folders for guests: the 9P2000.L protocol, from the device's end of a socket to a folder's files."""
