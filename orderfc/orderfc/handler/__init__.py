"""The wire of orderfc: HTTP and Kafka."""
