"""Plants faults in a copy of the project, one at a time, and sees that a test names each of them."""
