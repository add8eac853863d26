"""The shared fixtures of contracts."""

from tests.support.contracts.fixtures import *
