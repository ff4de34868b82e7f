"""What orderfc does: one file per write action."""
