"""userfc: registration, login, log-out, and who a user is."""
