"""Seed data, a client for customers and operators, and the six stories of `fc demo`."""
