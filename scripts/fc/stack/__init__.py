"""The platform on this machine: what it is made of, how it is started, and where it lives."""
