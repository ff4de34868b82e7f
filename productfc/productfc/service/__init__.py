"""The rules of productfc's aggregates: load locked, decide, save."""
