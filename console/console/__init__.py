"""The console: pages for operators over the admin API of the four services and Kafka. It owns no data."""
