"""The error of the readers of the platform."""


class CouldNotCheck(Exception):
    """Something could not be read, or did not come to rest; the text names it and the cause."""
