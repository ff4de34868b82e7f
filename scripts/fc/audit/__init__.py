"""The consistency auditor of the saga: read only, on a running platform of any size.

It merge-joins the four databases by order id and compares what they say with Kafka, MongoDB, Redis and Xendit.
`run.run_audit` is the entry for tests, `cli` the command.
"""
