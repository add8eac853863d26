"""Tests of the chart on a Kubernetes cluster: `make cluster`."""
