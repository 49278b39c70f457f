"""What Guesthouse says to its user when something is wrong."""


class UserError(Exception):
    """Something the user can mend: one sentence that says what is wrong and what to do.

    The command line prints it without a traceback and ends with status 2.
    """
