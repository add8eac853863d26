"""The shared fixtures of client."""

from tests.support.client.fixtures import *
