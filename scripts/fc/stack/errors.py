"""The error that `fc` reports as one message and exit code 1."""


class StackError(RuntimeError):
    """Something that the user has to correct; the text says what and how."""
