"""The platform on this machine: its programs, how they are started and stopped, and where they live."""
