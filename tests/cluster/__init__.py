"""Tests of the images, the chart and a cluster."""
