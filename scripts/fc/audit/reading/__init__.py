"""The readers of the databases, Kafka, MongoDB and Xendit, and the merge of their records by order."""
