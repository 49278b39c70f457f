"""The guest: what runs. Kernels, device trees, packages and images as plain data; bytes in, bytes out."""
