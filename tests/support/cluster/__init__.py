"""What tests of images, the chart and clusters share."""
