"""Who may call what: each public method has a scope, and what has none is open to nobody."""

import pytest

from rag.gateway.v1 import answer_service_pb2, document_service_pb2
from rag_common import errors
from rag_common.context import Principal
from rag_gateway.policy import REQUIRED, SCOPES, authorize

METHODS = [
    f"/{service.full_name}/{method.name}"
    for module in (answer_service_pb2, document_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


def principal(*scopes: str) -> Principal:
    return Principal("someone", "tenant", frozenset(scopes))


def test_every_method_of_the_contract_has_a_row_and_no_row_is_left_over() -> None:
    assert sorted(REQUIRED) == sorted(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_the_scope_opens_a_method_and_no_other_does(method: str) -> None:
    needed = REQUIRED[method]
    for scope in SCOPES:
        if needed in (None, scope) or scope == "admin":
            authorize(method, principal(scope))
        else:
            with pytest.raises(errors.PermissionDenied) as raised:
                authorize(method, principal(scope))
            assert raised.value.metadata == {"required_scope": needed}


@pytest.mark.parametrize("method", [name for name in METHODS if REQUIRED[name]])
@pytest.mark.parametrize("scopes", [(), ("",), ("none",), ("ADMIN",), ("searchs", "answer2")])
def test_other_words_open_nothing(method: str, scopes: tuple[str, ...]) -> None:
    with pytest.raises(errors.PermissionDenied):
        authorize(method, principal(*scopes))


@pytest.mark.parametrize(
    "method",
    ["", "/", "/rag.gateway.v1.AnswerService/New", "/rag.retriever.v1.RetrieverService/Search"],
)
def test_what_has_no_row_is_denied_even_to_admins(method: str) -> None:
    with pytest.raises(errors.PermissionDenied):
        authorize(method, principal(*SCOPES))
