"""The rules of userfc that need I/O or threads: passwords and revocation."""
