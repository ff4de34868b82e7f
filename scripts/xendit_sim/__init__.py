"""A simulator of Xendit's invoice API for development and tests; it shares no code with the services."""
