"""The `fc` command and the local stack."""
