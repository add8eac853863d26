"""The shared fixtures of edge."""

from tests.support.edge.fixtures import *
from tests.support.vault.fixtures import *
