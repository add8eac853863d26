"""The shared fixtures of the retriever."""

from tests.support.retriever.server import *
