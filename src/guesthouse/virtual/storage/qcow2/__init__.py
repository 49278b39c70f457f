"""QCOW2 images, versions 2 and 3, as the format's published specification (docs/interop/qcow2 of QEMU) has them."""
