"""The shared fixtures of common."""

from tests.support.common.fixtures import *
