"""Who may do what, as data: what the file may say, and what comes of it."""

from pathlib import Path

import pytest

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.policy import SCOPES, SHIPPED, Policy, Role, collections_for, load

A, B = "/x.v1.S/A", "/x.v1.S/B"
METHODS = f'[methods]\n"{A}" = "search"\n"{B}" = "any"\n'
ROLES = '[roles.reader]\nscopes = ["search"]\ncollections = ["hr"]\n'


def principal(*scopes: str, collections: frozenset[str] | None = None) -> Principal:
    return Principal("someone", "tenant", frozenset(scopes), collections=collections)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return load(written(tmp_path, METHODS + ROLES), {A, B})


def test_a_file_of_the_operator_s_own_is_what_counts(policy: Policy) -> None:
    assert policy.methods == {A: "search", B: None}
    assert policy.roles == {"reader": Role(frozenset({"search"}), frozenset({"hr"}))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "not TOML"),
        ("", f"{A} has no scope"),
        (f'[methods]\n"{A}" = "search"', f"{B} has no scope"),
        (METHODS + '"/x.v1.S/C" = "any"', "/x.v1.S/C is not a public method"),
        (METHODS.replace('"any"', '"all"'), "'all'"),
        (METHODS.replace('"any"', '""'), "''"),
        (METHODS.replace('"any"', "7"), "7"),
        (METHODS.replace('"any"', "[]"), r"\[\]"),
        ("methods = 7", "must be a table"),
        (METHODS + "[roles]\nreader = 7", "must be a table"),
        (METHODS + "[roles.r]\nscopes = ['root']\ncollections = []", "'root'"),
        (METHODS + "[roles.r]\nscopes = 'search'\ncollections = []", "scopes must be a list"),
        (METHODS + "[roles.r]\nscopes = []", "collections must be a list"),
        (METHODS + "[roles.r]\nscopes = []\ncollections = [7]", "collections must be a list"),
        (METHODS + "[roles.r]\nscopes = []\ncollections = []\nmore = 1", "more"),
        (METHODS + "[other]", "other"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as raised:
        load(written(tmp_path, text), {A, B})
    assert "policy.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        load(tmp_path / "missing.toml", {A, B})


def test_only_the_scope_or_admin_opens_a_method(policy: Policy) -> None:
    for scope in SCOPES:
        if scope in ("search", "admin"):
            policy.authorize(A, principal(scope))
        else:
            with pytest.raises(errors.PermissionDenied) as raised:
                policy.authorize(A, principal(scope))
            assert raised.value.metadata == {"required_scope": "search"}


def test_any_credential_opens_a_method_that_needs_no_scope(policy: Policy) -> None:
    policy.authorize(B, principal())


@pytest.mark.parametrize("scopes", [(), ("",), ("none",), ("ADMIN",), ("searchs", "search ")])
def test_other_words_open_nothing(policy: Policy, scopes: tuple[str, ...]) -> None:
    with pytest.raises(errors.PermissionDenied):
        policy.authorize(A, principal(*scopes))


@pytest.mark.parametrize("method", ["", "/", "/x.v1.S/C", "/rag.retriever.v1.RetrieverService/X"])
def test_what_has_no_row_is_denied_even_to_admins(policy: Policy, method: str) -> None:
    with pytest.raises(errors.PermissionDenied):
        policy.authorize(method, principal(*SCOPES))


GRANTING = Policy(
    {},
    {
        "hr": Role(frozenset({"search"}), frozenset({"people"})),
        "law": Role(frozenset({"answer"}), frozenset({"contracts"})),
        "all": Role(frozenset({"ingest"}), None),
    },
)


@pytest.mark.parametrize(
    ("roles", "claimed", "opened"),
    [
        ([], None, None),
        ([], ["x"], {"x"}),
        (["hr"], None, {"people"}),
        (["hr", "law"], None, {"people", "contracts"}),
        (["hr", "all"], None, None),
        (["hr", "all"], ["x"], {"x"}),
        (["hr", "law"], ["people", "x"], {"people"}),
        (["hr", "unheard of"], None, {"people"}),
    ],
)
def test_roles_add_up_and_a_claim_takes_away(
    roles: list[str], claimed: list[str] | None, opened: set[str] | None
) -> None:
    assert GRANTING.grant([], roles, claimed).collections == opened


@pytest.mark.parametrize(("roles", "claimed"), [([], []), (["hr"], ["x"]), (["unheard of"], None)])
def test_nothing_left_open_is_not_everything_open(
    roles: list[str], claimed: list[str] | None
) -> None:
    with pytest.raises(errors.CollectionForbidden):
        GRANTING.grant(["search"], roles, claimed)


def test_scopes_come_directly_and_by_role_and_other_words_are_left_out() -> None:
    granted = GRANTING.grant(["search", "openid"], ["law", "offline_access"], None)
    assert granted.scopes == {"search", "answer"}
    assert granted.roles == {"law"}


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        (None, [], None),
        (None, ["b", "a"], ("b", "a")),
        ({"b", "a"}, [], ("a", "b")),
        ({"a", "b"}, ["b"], ("b",)),
    ],
)
def test_a_call_is_about_what_it_asks_for_or_about_all_that_is_open(
    own: set[str] | None, asked: list[str], expected: tuple[str, ...] | None
) -> None:
    collections = None if own is None else frozenset(own)
    assert collections_for(principal(collections=collections), asked) == expected


@pytest.mark.parametrize(
    ("own", "asked"), [({"a"}, ["b"]), ({"a"}, ["a", "b"]), ({"a"}, [""]), (set(), []), (set(), ["a"])]
)  # fmt: skip
def test_a_collection_that_is_not_open_is_forbidden_whether_or_not_there_is_one(
    own: set[str], asked: list[str]
) -> None:
    with pytest.raises(errors.CollectionForbidden):
        collections_for(principal(collections=frozenset(own)), asked)


def test_the_policy_that_is_shipped_is_a_file_beside_its_code() -> None:
    assert SHIPPED.is_file()
