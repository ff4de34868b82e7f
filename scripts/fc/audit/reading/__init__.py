"""What is read of the databases, Kafka, MongoDB and Xendit, brought together by order."""
