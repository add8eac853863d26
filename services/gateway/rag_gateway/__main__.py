"""Starts the gateway: python -m rag_gateway."""

from rag_common.grpc.bootstrap import run
from rag_gateway.app import app
from rag_gateway.settings import Settings

if __name__ == "__main__":
    run(lambda: app(Settings.load()))
