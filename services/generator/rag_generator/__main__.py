"""Starts the generator: python -m rag_generator."""

from rag_common.grpc.bootstrap import run
from rag_generator.app import app
from rag_generator.settings import Settings

if __name__ == "__main__":
    run(lambda: app(Settings.load()))
