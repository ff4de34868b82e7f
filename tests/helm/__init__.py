"""Tests of the Helm chart in deploy/helm: what helm renders, without a cluster."""
