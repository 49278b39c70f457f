"""Virtio devices: a transport (mmio), two ring layouts, and one file a device type.

Source: Virtual I/O Device (VIRTIO) version 1.3; the section numbers in this folder are of that document.
"""
