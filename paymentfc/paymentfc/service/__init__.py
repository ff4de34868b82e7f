"""The rules of the payment: load locked, decide, save. The caller publishes the events and commits."""
