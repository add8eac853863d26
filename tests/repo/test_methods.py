"""Every public method has an HTTP form and a rule of who may call it."""

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_gateway.policy import SCOPES, SHIPPED, load

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (access_service_pb2, answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def test_the_shipped_policy_names_every_public_method_and_no_other() -> None:
    assert set(load(SHIPPED, METHODS).methods) == set(METHODS)


def test_the_shipped_roles_give_known_scopes() -> None:
    roles = load(SHIPPED, METHODS).roles
    assert roles
    assert all(role.scopes <= set(SCOPES) for role in roles.values())


def test_only_admins_make_list_and_end_credentials() -> None:
    needed = load(SHIPPED, METHODS).methods
    of_all = {"GetIdentity", "GetQuota"}
    for method in access_service_pb2.DESCRIPTOR.services_by_name["AccessService"].methods:
        expected = None if method.name in of_all else "admin"
        assert needed[f"/rag.gateway.v1.AccessService/{method.name}"] == expected


def test_what_writes_needs_more_than_what_reads() -> None:
    needed = load(SHIPPED, METHODS).methods
    for name, method in METHODS.items():
        writes = method.name.startswith(("Ingest", "Upload", "Delete"))
        assert (needed[name] == "ingest") == writes


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
