"""What ends a measurement."""


class Unmeasured(Exception):
    """A row can't be measured; the text says why."""


class OutOfTime(BaseException):
    """The bound of the whole run is reached. Not an Exception: no row may take it for its own failure."""
