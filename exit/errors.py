"""Errors a user can act on: one line that says what was wrong, what is allowed and what to do."""


class UserError(Exception):
    """A failure the user can mend; the command line prints it on one line and exits with 1."""


class UsageError(UserError, ValueError):
    """A wrong argument; names it, what is allowed and what to do. The command line exits with 2."""
