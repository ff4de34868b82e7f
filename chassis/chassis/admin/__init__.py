"""Routes for administrators that every service has: its outbox, its inbox, and what its process is doing."""
