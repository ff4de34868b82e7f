"""The rules of one aggregate: load locked, decide, save."""
