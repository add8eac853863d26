"""Write rag_edge/templates/rag.binpb, the public API as descriptors; --check says whether it is current."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2

from tools import ROOT
from tools.generated import write_or_check

PROTOS = ROOT / "protos"
TARGET = ROOT / "libs" / "edge" / "rag_edge" / "templates" / "rag.binpb"

# What an error's details are made of: without it they could not be put into JSON.
DETAILS = ("google/rpc/error_details.proto", "google/rpc/status.proto")


def main() -> int:
    return write_or_check({TARGET: generate()}, "make protos")


def generate() -> bytes:
    """The gateway's services with all that they import, as a FileDescriptorSet."""
    services = sorted(PROTOS.glob("rag/gateway/v1/*.proto"))
    return descriptor_set(services, "--include_imports", *DETAILS)


def descriptor_set(files: Sequence[Path], *arguments: str) -> bytes:
    """A FileDescriptorSet of these files below PROTOS, with more arguments for protoc."""
    # googleapis-common-protos lies there with its sources.
    google = Path(status_pb2.__file__).parents[2]
    includes = [PROTOS, google, resources.files(grpc_tools) / "_proto"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rag.binpb"
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc"),
                *(f"-I{path}" for path in includes),
                f"--descriptor_set_out={output}",
                *(str(path.relative_to(PROTOS)) for path in files),
                *arguments,
            ],
            check=True,
        )
        return output.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
