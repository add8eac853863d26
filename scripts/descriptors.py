"""Write deploy/envoy/rag.binpb, the public API as descriptors; --check only says whether it is current."""

import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
TARGET = ROOT / "deploy" / "envoy" / "rag.binpb"

# What an error's details are made of: without it they could not be put into JSON.
DETAILS = ("google/rpc/error_details.proto", "google/rpc/status.proto")


def main() -> int:
    made = generate()
    if "--check" not in sys.argv:
        TARGET.write_bytes(made)
        return 0
    if TARGET.is_file() and TARGET.read_bytes() == made:
        return 0
    sys.stderr.write(f"{TARGET.relative_to(ROOT)} is not what protos/ gives; run `make protos`\n")
    return 1


def generate() -> bytes:
    """The gateway's services with all that they import, as a FileDescriptorSet."""
    services = sorted(PROTOS.glob("rag/gateway/v1/*.proto"))
    # googleapis-common-protos lies there with its sources.
    installed = Path(status_pb2.__file__).parents[2]
    includes = [PROTOS, ROOT / "build" / "googleapis", installed]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rag.binpb"
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc"),
                *(f"-I{path}" for path in [*includes, resources.files(grpc_tools) / "_proto"]),
                "--include_imports",
                f"--descriptor_set_out={output}",
                *(str(path.relative_to(PROTOS)) for path in services),
                *DETAILS,
            ],
            check=True,
        )
        return output.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
