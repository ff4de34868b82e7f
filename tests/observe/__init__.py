"""The pipeline of log lines, with the collector and the store that `make observe` builds."""
