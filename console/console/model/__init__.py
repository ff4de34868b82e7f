"""What is shown, as pure functions of what the services and Kafka have answered."""
