"""What may become of an attempt to reach somebody over the host's network."""

from enum import Enum


class Problem(Enum):
    """Why the host did not do it."""

    REFUSED = "refused"
    NO_NETWORK = "the network cannot be reached"
    NO_HOST = "the host cannot be reached"
    TIMED_OUT = "no answer"
    FORBIDDEN = "forbidden"
    RESET = "reset"
    BUSY = "out of resources"
    TOO_LONG = "too long"


class Broken(Exception):
    """A stream that has been reset, or has failed."""
