"""Faults drawn from a seed, a load of orders through them, and an audit of what is left."""
