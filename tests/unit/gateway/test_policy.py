"""Who may do what, as data: what the file may say, and what comes of it."""

from pathlib import Path

import pytest

from rag_common.context import Principal
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_gateway.auth.policy import SCOPES, AccessPolicy, Role, collections_for
from rag_gateway.auth.policy_file import read_policy

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
def policy(tmp_path: Path) -> AccessPolicy:
    return read_policy(written(tmp_path, METHODS + ROLES), {A, B})


def test_a_file_of_the_operator_s_own_is_what_counts(policy: AccessPolicy) -> None:
    assert policy.methods == {A: "search", B: None}
    assert policy.roles == {"reader": Role(frozenset({"search"}), frozenset({"hr"}))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "not TOML"),
        ("", f"{A} has no scope"),
        (f'[methods]\n"{A}" = "search"', f"{B} has no scope"),
        (METHODS + '"/x.v1.S/C" = "any"', "/x.v1.S/C is not a public method"),
        (METHODS.replace('"any"', '"all"'), f"{B}: Input should be 'any'"),
        (METHODS + "[roles]\nreader = 7", "roles.reader: Input should be a valid dictionary"),
        (METHODS + "[roles.r]\nscopes = ['root']\ncollections = []", r"roles.r.scopes\[0\]: "),
        (METHODS + "[roles.r]\nscopes = []", "roles.r.collections: Field required"),
        (
            METHODS + "[roles.r]\nscopes = []\ncollections = []\nmore = 1",
            "roles.r.more: Extra inputs",
        ),
        (METHODS + "[other]", "other: Extra inputs"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsInvalid, match=message) as raised:
        read_policy(written(tmp_path, text), {A, B})
    assert "policy.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"missing\.toml cannot be read: No such file"):
        read_policy(tmp_path / "missing.toml", {A, B})


@pytest.mark.parametrize(
    "scope", sorted({*SCOPES, "", "none", "ADMIN", "searchs", "search "} - {"search", "admin"})
)
def test_only_the_scope_or_admin_opens_a_method(policy: AccessPolicy, scope: str) -> None:
    policy.authorize(A, principal("search"))
    policy.authorize(A, principal("admin"))
    with pytest.raises(errors.PermissionDenied) as raised:
        policy.authorize(A, principal(scope))
    assert raised.value.metadata == {"required_scope": "search"}


def test_any_credential_opens_a_method_that_needs_no_scope(policy: AccessPolicy) -> None:
    policy.authorize(B, principal())


@pytest.mark.parametrize("method", ["", "/", "/x.v1.S/C", "/rag.retriever.v1.RetrieverService/X"])
def test_what_has_no_row_is_denied_even_to_admins(policy: AccessPolicy, method: str) -> None:
    with pytest.raises(errors.PermissionDenied):
        policy.authorize(method, principal(*SCOPES))


GRANTING = AccessPolicy(
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
