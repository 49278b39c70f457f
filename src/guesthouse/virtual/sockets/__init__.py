"""Connections between guest and host over virtio sockets: the protocol, and the process that carries them on."""
