"""Each service behind the gateway says of every one of its methods who may call it."""

from types import ModuleType

import pytest
from google.protobuf.descriptor import FileDescriptor

import rag_embedder.callers
import rag_generator.callers
import rag_retriever.callers
from rag.embedder.v1 import embedder_service_pb2
from rag.generator.v1 import generator_service_pb2
from rag.retriever.v1 import retriever_service_pb2


@pytest.mark.parametrize(
    ("module", "file"),
    [
        (rag_embedder.callers, embedder_service_pb2.DESCRIPTOR),
        (rag_retriever.callers, retriever_service_pb2.DESCRIPTOR),
        (rag_generator.callers, generator_service_pb2.DESCRIPTOR),
    ],
    ids=["embedder", "retriever", "generator"],
)
def test_the_table_names_every_method_and_no_other(
    module: ModuleType, file: FileDescriptor
) -> None:
    methods = {
        f"/{service.full_name}/{method.name}"
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert set(module.CALLERS) == methods


@pytest.mark.parametrize(
    "method",
    [
        "Search",
        "SplitDocument",
        "UpsertChunks",
        "DeleteChunks",
        "Count",
        "GetDocument",
        "ListDocuments",
        "ListChunks",
    ],
)
def test_what_a_tenant_keeps_is_shown_to_the_gateway_alone(method: str) -> None:
    callers = rag_retriever.callers.CALLERS[f"/rag.retriever.v1.RetrieverService/{method}"]
    assert callers == {"gateway"}
