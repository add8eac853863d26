"""Every public method has an HTTP form and a rule of who may call it."""

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_gateway.auth.policy import SCOPES
from rag_gateway.auth.policy_file import DEFAULT_POLICY, read_policy

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (access_service_pb2, answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def test_the_shipped_policy_names_every_public_method_and_no_other() -> None:
    assert set(read_policy(DEFAULT_POLICY, METHODS).methods) == set(METHODS)


def test_the_shipped_roles_give_known_scopes() -> None:
    roles = read_policy(DEFAULT_POLICY, METHODS).roles
    assert roles
    assert all(role.scopes <= set(SCOPES) for role in roles.values())


def test_only_admins_make_list_and_end_credentials() -> None:
    needed = read_policy(DEFAULT_POLICY, METHODS).methods
    of_all = {"GetIdentity", "GetQuota"}
    for method in access_service_pb2.DESCRIPTOR.services_by_name["AccessService"].methods:
        expected = None if method.name in of_all else "admin"
        assert needed[f"/rag.gateway.v1.AccessService/{method.name}"] == expected


def test_what_writes_needs_more_than_what_reads() -> None:
    needed = read_policy(DEFAULT_POLICY, METHODS).methods
    for name, method in METHODS.items():
        writes = method.name.startswith(("Ingest", "Upload", "Delete"))
        assert (needed[name] == "ingest") == writes


def test_every_public_method_has_an_http_form_of_its_own() -> None:
    rules = [method.GetOptions().Extensions[annotations_pb2.http] for method in METHODS.values()]
    forms = [
        (rule.WhichOneof("pattern"), getattr(rule, rule.WhichOneof("pattern"))) for rule in rules
    ]
    assert len(set(forms)) == len(METHODS)


def test_a_read_says_that_it_has_no_side_effects() -> None:
    for method in METHODS.values():
        if method.name.startswith(("Get", "List")):
            options = method.GetOptions()
            assert options.idempotency_level == options.NO_SIDE_EFFECTS, method.name
