"""Starts the embedder: python -m rag_embedder."""

from rag_common.grpc.bootstrap import run
from rag_embedder.app import app
from rag_embedder.settings import Settings

if __name__ == "__main__":
    run(lambda: app(Settings.load()))
