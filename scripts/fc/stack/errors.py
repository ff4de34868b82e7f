"""The error of everything that `fc` does."""


class StackError(RuntimeError):
    """Something that has to be put right outside the program; the text says what and how."""
