"""`make bench`: every hot path measured beside its floor, on a stack of its own."""
