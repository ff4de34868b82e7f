"""What can be seen of the running platform: one trace per order."""
