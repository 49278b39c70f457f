"""Networks: one of our own for each guest, from Ethernet frames to streams and datagrams of the host.

Pure: bytes in, bytes out. `stack` puts it together; it gets frames and the time, and reaches the host only through the
wires of `outside`.
"""
