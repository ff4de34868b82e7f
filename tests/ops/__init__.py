"""The operator's commands, against the running stack."""
