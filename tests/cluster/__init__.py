"""Tests of the images and of the chart in Kubernetes clusters: `make cluster`."""
