"""What can be seen of the running platform: the traces of orders."""
