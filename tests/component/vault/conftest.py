"""The shared fixtures of vault."""

from tests.support.vault.fixtures import *
