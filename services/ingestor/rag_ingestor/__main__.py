"""Starts the ingestor: python -m rag_ingestor."""

from rag_common.grpc.bootstrap import run
from rag_ingestor.app import app
from rag_ingestor.settings import Settings

if __name__ == "__main__":
    run(lambda: app(Settings.load()))
