"""The operator's commands: replay or discard dead letters, publish parked events, list the orders that wait."""
