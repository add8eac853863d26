"""`make release`: what one machine can do for a release. It publishes and signs nothing."""
