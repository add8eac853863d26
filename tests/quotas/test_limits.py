"""The file of limits: generous as it comes, ours where we name one, and wrong in one clear sentence."""

from pathlib import Path

import pytest

from rag_common.settings import SettingsInvalid
from rag_gateway.adapters.local.limits import read
from rag_gateway.tiers import Limits, Rate, Tier
from tests.rpc import logged

SMALL = """
[tiers.default.tenant]
requests = { capacity = 3, refill_per_second = 0.5 }
[tiers.gold.tenant]
concurrent_streams = 7
[edge.remote_address]
capacity = 9
refill_per_second = 2
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.toml"


def test_a_laptops_load_test_is_not_limited() -> None:
    """256 callers at once, for a minute, at more than a replica can do."""
    tier = read().tier("")
    for limits in (tier.tenant, tier.credential):
        assert limits.requests
        assert limits.requests.capacity + 60 * limits.requests.refill > 60 * 2_000
        assert limits.tokens
        assert limits.tokens.capacity >= 256 * 8_000
        assert limits.concurrent_streams
        assert limits.concurrent_streams >= 256
    assert read().edge["stranger+remote_address"].refill >= 2_000


def test_a_file_of_our_own_is_used_instead(path: Path) -> None:
    path.write_text(SMALL)
    found = read(str(path))
    assert found.tier("") == Tier(Limits(requests=Rate(3, 0.5)), Limits())
    assert found.tier("gold") == Tier(Limits(concurrent_streams=7), Limits())
    assert found.edge == {"remote_address": Rate(9, 2.0)}


def test_an_unknown_tier_has_the_default_limits_and_is_told_once(path: Path) -> None:
    path.write_text(SMALL)
    found = read(str(path))
    with logged() as lines:
        assert {found.tier("silver"), found.tier("silver")} == {found.tier("default")}
    assert [line["tier"] for line in lines.of("tier_unknown")] == ["silver"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[tiers.default", "Expected"),
        ("", "tiers.default is missing"),
        ("tiers = 7", "tiers must be a table"),
        ("[tiers]\ndefault = 7", "tiers.default must be a table"),
        ("[tiers.default]\nuser = {}", "tiers.default has user, which is none of credential, tenant"),
        ("[tiers.default.tenant]\ncalls = 7", "tiers.default.tenant has calls"),
        ("[tiers.default.tenant]\nrequests = 7", "tiers.default.tenant.requests must be a table"),
        ("[tiers.default.tenant]\nrequests = {capacity = 7}",
         "tiers.default.tenant.requests.refill_per_second must be a number above 0"),
        ("[tiers.default.tenant]\nrequests = {capacity = 7, refill_per_second = 0}",
         "refill_per_second must be a number above 0"),
        ("[tiers.default.tenant]\nrequests = {capacity = 7, refill_per_second = nan}",
         "refill_per_second must be a number above 0"),
        ("[tiers.default.tenant]\ntokens = {capacity = 1.5, refill_per_second = 1}",
         "tiers.default.tenant.tokens.capacity must be a whole number of at least 1"),
        ("[tiers.default.tenant]\nconcurrent_streams = true",
         "tiers.default.tenant.concurrent_streams must be a whole number of at least 1"),
        ("[tiers.default.tenant]\nconcurrent_streams = 0", "at least 1"),
        ("[tiers.default]\n[edge.tenant]\ncapacity = 0", "edge.tenant"),
        ("[tiers.default]\n[edges]", "the file has edges"),
        (b"\xff", "utf-8"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(path: Path, content: str | bytes, why: str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsInvalid) as raised:
        read(str(path))
    sentence = str(raised.value)
    assert sentence.startswith(f"{path} is no file of limits: ")
    assert why in sentence
    assert "\n" not in sentence


def test_a_missing_file_is_one_sentence(path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="No such file"):
        read(str(path))


def test_a_tenant_of_the_file_has_its_tier_whatever_its_credential_names(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(
        """
        [tenants]
        acme = "small"
        [tiers.default.tenant]
        [tiers.small.tenant]
        concurrent_streams = 2
        """
    )
    found = read(str(path))
    assert found.of("acme", "default") == found.tier("small")
    assert found.of("other", "small") == found.tier("small")
    assert found.of("other", "") == found.tier("default")
