"""What goes wrong with guest-physical addresses."""


class BadAddress(Exception):
    """An access to guest memory left RAM; a device answers it as its specification says."""
