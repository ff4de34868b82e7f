"""What keeps the auditor from an answer."""


class CouldNotCheck(Exception):
    """Something that has to be read does not answer; the text says what and why."""
