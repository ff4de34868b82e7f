"""Helpers of the tests in a cluster."""
