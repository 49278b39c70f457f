"""The version of Guesthouse; the build and `guesthouse --version` both read it here."""

__version__ = "0.1.0"
