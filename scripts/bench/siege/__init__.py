"""`make siege`: hostile clients against a stack of its own while honest customers order, and what both measured.

The hostile clients run in a process of their own and call from other loopback addresses than the customers do.
"""
