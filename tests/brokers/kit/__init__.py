"""Helpers of the broker tests: the load, the state of the cluster, and what is measured."""
