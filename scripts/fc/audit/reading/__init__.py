"""The readers of the databases, Kafka, MongoDB, Redis and Xendit, and the merge of their records by order."""
