"""The schema's history; `python -m paymentfc migrate` applies it."""
