"""The operator's way out: dead letters sent again or put aside, events sent at once, and why an order waits."""
