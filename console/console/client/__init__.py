"""What the console asks: the admin API of the services, and Kafka."""
