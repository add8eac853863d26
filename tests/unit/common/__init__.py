"""Tests of the libraries that every service uses."""
