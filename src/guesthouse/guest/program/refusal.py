"""Where and why a program is not in the language."""


class Refused(Exception):
    """The program says something that can't be compiled: the reason, with file and line."""
