"""The wire of productfc: HTTP and Kafka."""
