"""What the neighbour replies about callers, limits, keys and tokens."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from rag.gateway.v1 import access_service_pb2 as access

KEY = "rag_id1_the-secret"
TOKEN = "header.payload.signature"
YEAR_2100 = 4_102_444_800


def identity() -> access.GetIdentityResponse:
    return access.GetIdentityResponse(
        subject="kim", tenant="acme", scopes=["answer", "search"], credential_id="id1", tier="gold"
    )


def quotas(local: bool = False) -> access.GetQuotaResponse:
    requests = access.Quota(
        subject=access.Quota.SUBJECT_TENANT,
        unit=access.Quota.UNIT_REQUESTS,
        limit=1200,
        remaining=1100,
        refill_per_second=0.5,
        reset=Duration(seconds=200),
    )
    streams = access.Quota(
        subject=access.Quota.SUBJECT_CREDENTIAL,
        unit=access.Quota.UNIT_CONCURRENT_STREAMS,
        limit=8,
        remaining=7,
    )
    return access.GetQuotaResponse(quotas=[requests, streams], local=local)


def api_key(
    key_id: str = "id1", *, ends: int = YEAR_2100, revoked: int | None = None
) -> access.ApiKey:
    return access.ApiKey(
        api_key_id=key_id,
        display_name="nightly job",
        scopes=["search"],
        created_by="kim",
        create_time=Timestamp(seconds=1_577_836_800),
        expire_time=Timestamp(seconds=ends),
        revoke_time=None if revoked is None else Timestamp(seconds=revoked),
    )


def created() -> access.CreateApiKeyResponse:
    return access.CreateApiKeyResponse(key=KEY, api_key=api_key())


def page(*key_ids: str, token: str = "") -> access.ListApiKeysResponse:
    return access.ListApiKeysResponse(api_keys=map(api_key, key_ids), next_page_token=token)


def issued() -> access.IssueTokenResponse:
    return access.IssueTokenResponse(
        token=TOKEN, token_id="jti-1", expire_time=Timestamp(seconds=YEAR_2100)
    )
