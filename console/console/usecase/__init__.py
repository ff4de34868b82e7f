"""One file per question or action."""
