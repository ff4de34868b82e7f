"""What the auditor and the operator's commands share: the addresses of the platform and its databases, read only."""
