"""Tables and all SQL of orderfc."""
