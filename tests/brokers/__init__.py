"""What becomes of orders when brokers fail: a stack of three, under a steady load."""
