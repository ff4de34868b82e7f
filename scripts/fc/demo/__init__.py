"""Seed data, a client for customers and operators, and the five stories of `fc demo`."""
