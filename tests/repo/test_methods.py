"""Every public method has an HTTP form and a rule of who may call it."""

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from rag.gateway.v1 import answer_service_pb2, document_service_pb2
from rag_gateway.policy import REQUIRED, SCOPES

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def test_the_policy_names_every_public_method_and_no_other() -> None:
    assert set(REQUIRED) == set(METHODS)


def test_the_policy_asks_for_known_scopes() -> None:
    assert {scope for scope in REQUIRED.values() if scope} <= set(SCOPES)


@pytest.mark.parametrize("name", METHODS)
def test_a_public_method_has_an_http_form(name: str) -> None:
    rule = METHODS[name].GetOptions().Extensions[annotations_pb2.http]
    assert rule.WhichOneof("pattern")


def test_no_two_public_methods_have_the_same_http_form() -> None:
    forms = [
        (rule.WhichOneof("pattern"), getattr(rule, str(rule.WhichOneof("pattern"))))
        for method in METHODS.values()
        for rule in [method.GetOptions().Extensions[annotations_pb2.http]]
    ]
    assert len(set(forms)) == len(forms)


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name.split("/")[-1].startswith(("Get", "List"))]
)
def test_a_read_says_that_it_has_no_side_effects(name: str) -> None:
    options = METHODS[name].GetOptions()
    assert options.idempotency_level == options.NO_SIDE_EFFECTS
