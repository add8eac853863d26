"""Each service behind the gateway says of every one of its methods who may call it."""

from types import ModuleType

import pytest
from google.protobuf.descriptor import FileDescriptor

import rag_embedder.api.callers
import rag_generator.api.callers
import rag_ingestor.api.callers
import rag_retriever.api.callers
from rag.embedder.v1 import embedder_service_pb2
from rag.generator.v1 import generator_service_pb2
from rag.ingestor.v1 import ingestor_service_pb2
from rag.retriever.v1 import retriever_service_pb2


@pytest.mark.parametrize(
    ("module", "file"),
    [
        (rag_embedder.api.callers, embedder_service_pb2.DESCRIPTOR),
        (rag_retriever.api.callers, retriever_service_pb2.DESCRIPTOR),
        (rag_generator.api.callers, generator_service_pb2.DESCRIPTOR),
        (rag_ingestor.api.callers, ingestor_service_pb2.DESCRIPTOR),
    ],
    ids=["embedder", "retriever", "generator", "ingestor"],
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


def test_what_a_tenant_keeps_is_shown_to_the_service_that_needs_it_and_to_no_person() -> None:
    callers = {**rag_retriever.api.callers.CALLERS, **rag_ingestor.api.callers.CALLERS}
    allowed = {
        service: {name.rpartition("/")[2] for name, who in callers.items() if who == {service}}
        for service in ("gateway", "ingestor")
    }
    chunks = {"UpsertChunks", "DeleteChunks", "ListChunks", "Count", "GetDocument", "ListDocuments"}
    documents = {"IngestDocument", "GetDocument", "ListDocuments", "ListPassages", "DeleteDocument"}
    assert allowed == {"gateway": {"Search", *documents}, "ingestor": chunks}
