"""The file of limits: generous as it comes, ours where we name one, and wrong in one clear sentence."""

from pathlib import Path

import pytest

from rag_common.settings import SettingsInvalid
from rag_gateway.quotas.config import read
from rag_gateway.quotas.tiers import Limits, Rate, Tier
from tests.support.rpc import logged

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
    result = read(path)
    assert result.tier("") == Tier(Limits(requests=Rate(3, 0.5)), Limits())
    assert result.tier("gold") == Tier(Limits(concurrent_streams=7), Limits())
    assert result.edge == {"remote_address": Rate(9, 2.0)}


def test_an_unknown_tier_has_the_default_limits_and_is_told_once(path: Path) -> None:
    path.write_text(SMALL)
    result = read(path)
    with logged() as lines:
        assert {result.tier("silver"), result.tier("silver")} == {result.tier("default")}
    assert [line["tier"] for line in lines.of("tier_unknown")] == ["silver"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[tiers.default", "Expected"),
        ("", "tiers.default is missing"),
        ("tiers = 7", "tiers: Input should be a valid dictionary"),
        ("[tiers.default.tenant]\ncalls = 7", "tiers.default.tenant.calls: Extra inputs"),
        ("[tiers.default.tenant]\nrequests = {capacity = 7, refill_per_second = 0}",
         "refill_per_second: Input should be greater than 0"),
        ("[tiers.default.tenant]\nrequests = {capacity = 7, refill_per_second = nan}",
         "refill_per_second: Input should be a finite number"),
        ("[tiers.default.tenant]\nconcurrent_streams = 0", "greater than or equal to 1"),
        ("[tiers.default]\n[edge.tenant]\ncapacity = 0", "edge.tenant"),
        (b"\xff", "utf-8"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(path: Path, content: str | bytes, why: str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsInvalid) as raised:
        read(path)
    sentence = str(raised.value)
    assert sentence.startswith(f"{path} is ")
    assert why in sentence
    assert "\n" not in sentence


def test_a_missing_file_is_one_sentence(path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="No such file"):
        read(path)


def test_a_tenant_of_the_file_has_its_tier_whatever_its_credential_names(path: Path) -> None:
    path.write_text(f"[tenants]\nacme = 'gold'\n{SMALL}")
    limits = read(path)
    assert limits.tier_for("acme", "default") == limits.tier("gold")
    assert limits.tier_for("other", "gold") == limits.tier("gold")
    assert limits.tier_for("other", "") == limits.tier("default")
