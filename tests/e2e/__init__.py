"""End to end tests on the whole stack."""
