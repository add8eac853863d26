"""Starts the retriever: python -m rag_retriever."""

from rag_common.grpc.bootstrap import run
from rag_retriever.app import app
from rag_retriever.settings import Settings

if __name__ == "__main__":
    run(lambda: app(Settings.load()))
