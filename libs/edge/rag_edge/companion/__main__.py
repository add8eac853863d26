"""Starts the companion: python -m rag_edge.companion, with --once to write certificates and exit."""

import argparse

from rag_common.grpc.bootstrap import run, run_to_end
from rag_edge.companion.app import app, write_once
from rag_edge.companion.settings import Settings


def main() -> None:
    """Serve until SIGTERM and drain then, or write the first certificates."""
    parser = argparse.ArgumentParser("python -m rag_edge.companion", description=__doc__)
    parser.add_argument("--once", action="store_true", help="write the certificates, and exit")
    if parser.parse_args().once:
        run_to_end(lambda: write_once(Settings.load()))
    else:
        run(lambda: app(Settings.load()))


if __name__ == "__main__":
    main()
