"""What the auditor and the operator's commands share: where everything is, and how it is read."""
