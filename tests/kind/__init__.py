"""The chart in a real cluster of Kubernetes."""
