"""Devices: one file a device, each a register table, its state and a few wires."""
