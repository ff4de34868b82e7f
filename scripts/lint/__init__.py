"""The project's own checks of its source code, and the table of measures that `make measure` prints."""
