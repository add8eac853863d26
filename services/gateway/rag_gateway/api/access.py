"""The public AccessService: translates between protobuf messages and the domain; every change is audited."""

from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp

from rag.gateway.v1 import access_service_pb2 as pb
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceServicer
from rag_common.context import Principal
from rag_common.grpc.call import date
from rag_common.grpc.types import Context
from rag_contract.durations import to_seconds
from rag_gateway.api.guard import RequestGuard
from rag_gateway.api.validation.validator import RequestValidator
from rag_gateway.auth.audit import Event
from rag_gateway.auth.credentials import ApiKey
from rag_gateway.auth.policy import SCOPES
from rag_gateway.auth.service import AccessService, Grant
from rag_gateway.quotas.service import Cost, QuotaStatus

# Callers without remaining requests may still read their quota and identity.
_FREE = Cost(requests=0)
_PAGE_SIZE = 100
_KEY_LIFETIME_SECONDS = 90 * 86_400.0
_TOKEN_LIFETIME_SECONDS = 900.0

QuotaStatusReader = Callable[[Principal], Awaitable[QuotaStatus]]


class AccessServicer(AccessServiceServicer):
    """Handles requests that the interceptor has authenticated."""

    def __init__(
        self, access: AccessService, guard: RequestGuard, quota: QuotaStatusReader
    ) -> None:
        self._access = access
        self._guard = guard
        self._quota = quota

    async def GetIdentity(
        self, request: pb.GetIdentityRequest, context: Context
    ) -> pb.GetIdentityResponse:
        by = (await self._guard.admit("GetIdentity", cost=_FREE)).principal
        # For clients that compare clocks, as `rag doctor` does.
        await context.send_initial_metadata((date(),))
        return pb.GetIdentityResponse(
            subject=by.subject,
            tenant=by.tenant,
            scopes=sorted(by.scopes),
            roles=sorted(by.roles),
            collections=sorted(by.collections or ()),
            credential_id=by.credential,
            tier=by.tier,
        )

    async def GetQuota(self, request: pb.GetQuotaRequest, context: Context) -> pb.GetQuotaResponse:
        permit = await self._guard.admit("GetQuota", cost=_FREE)
        return _quota_response(await self._quota(permit.principal))

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Context
    ) -> pb.CreateApiKeyResponse:
        permit = await self._guard.admit("CreateApiKey")
        with self._guard.audited(Event.KEY_CREATED, "CreateApiKey") as action:
            grant = _grant(request, _KEY_LIFETIME_SECONDS)

            async def work() -> pb.CreateApiKeyResponse:
                name = request.display_name.strip()
                text, key = await self._access.create_key(permit.principal, name, grant)
                action.target = key.key_id
                return pb.CreateApiKeyResponse(key=text, api_key=_message(key))

            return await self._guard.idempotent("CreateApiKey", permit, request, work, None)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Context
    ) -> pb.ListApiKeysResponse:
        permit = await self._guard.admit("ListApiKeys")
        with self._guard.audited(Event.KEYS_LISTED, "ListApiKeys"):
            RequestValidator(request).validate()
            keys, token = await self._access.list_keys(
                permit.principal, request.page_size or _PAGE_SIZE, request.page_token
            )
        return pb.ListApiKeysResponse(api_keys=map(_message, keys), next_page_token=token)

    async def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: Context
    ) -> pb.RevokeApiKeyResponse:
        permit = await self._guard.admit("RevokeApiKey")
        with self._guard.audited(Event.KEY_REVOKED, "RevokeApiKey", request.api_key_id):
            RequestValidator(request).validate()
            key = await self._access.revoke_key(permit.principal, request.api_key_id)
        return pb.RevokeApiKeyResponse(api_key=_message(key))

    async def IssueToken(
        self, request: pb.IssueTokenRequest, context: Context
    ) -> pb.IssueTokenResponse:
        permit = await self._guard.admit("IssueToken")
        with self._guard.audited(Event.TOKEN_ISSUED, "IssueToken") as action:
            grant = _grant(request, _TOKEN_LIFETIME_SECONDS)

            async def work() -> pb.IssueTokenResponse:
                issued = await self._access.issue_token(permit.principal, request.subject, grant)
                action.target = issued.token_id
                return pb.IssueTokenResponse(
                    token=issued.token, token_id=issued.token_id, expire_time=_time(issued.expires)
                )

            return await self._guard.idempotent("IssueToken", permit, request, work, None)

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: Context
    ) -> pb.RevokeTokenResponse:
        permit = await self._guard.admit("RevokeToken")
        with self._guard.audited(Event.TOKEN_REVOKED, "RevokeToken", request.token_id):
            RequestValidator(request).validate()
            await self._access.revoke_token(permit.principal, request.token_id)
        return pb.RevokeTokenResponse()


def _grant(request: pb.CreateApiKeyRequest | pb.IssueTokenRequest, lifetime: float) -> Grant:
    validator = RequestValidator(request)
    for i, scope in enumerate(request.scopes):
        validator.require(scope in SCOPES, f"scopes[{i}]", f"is none of {', '.join(SCOPES)}")
    validator.validate()
    if request.HasField("lifetime"):
        lifetime = to_seconds(request.lifetime)
    return Grant(tuple(request.scopes), tuple(request.collections), lifetime)


def _message(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        api_key_id=key.key_id,
        display_name=key.display_name,
        scopes=key.scopes,
        collections=key.collections or (),
        created_by=key.created_by,
        create_time=_time(key.created),
        expire_time=_time(key.expires),
        last_use_time=None if key.last_used is None else _time(key.last_used),
        revoke_time=None if key.revoked is None else _time(key.revoked),
    )


def _time(seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMilliseconds(round(seconds * 1000))
    return timestamp


def _quota_response(status: QuotaStatus) -> pb.GetQuotaResponse:
    response = pb.GetQuotaResponse(local=status.local)
    for quota in status.quotas:
        row = response.quotas.add(
            subject=pb.Quota.Subject.Value(f"SUBJECT_{quota.subject.name}"),
            unit=pb.Quota.Unit.Value(f"UNIT_{quota.unit.name}"),
            limit=quota.limit,
            remaining=quota.remaining,
            refill_per_second=quota.refill,
        )
        row.reset.FromMilliseconds(round(quota.reset * 1000))
    return response
