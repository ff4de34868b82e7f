"""What a customer does on the running platform: seed data, stories, and a client for both."""
