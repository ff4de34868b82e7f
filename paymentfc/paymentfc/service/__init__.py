"""The rules of the payment: load locked, decide, save."""
