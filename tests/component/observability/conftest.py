"""The shared fixtures of observability."""

from tests.support.observability.fixtures import *
