"""The shared fixtures of edge."""

from tests.support.edge.fixtures import *
