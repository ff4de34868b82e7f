"""Tests of what no single service can show."""
