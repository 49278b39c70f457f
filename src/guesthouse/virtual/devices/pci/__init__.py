"""The PCI bus: a host bridge, and what each function shows of itself in configuration space.

Sources: PCI Local Bus Specification 3.0 (section numbers in this folder are its); PCI Express Base Specification 5.0,
section 7.2.2, for the memory-mapped configuration space (ECAM).
"""
