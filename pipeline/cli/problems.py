"""The error that ends a command with a sentence instead of a traceback."""


class Problem(Exception):  # noqa: N818 - it is what the user has, and reads as such
    """What was wrong, with what value, and what to do."""
