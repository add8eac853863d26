"""The public access API: protobuf to the core and back, each deed put on record."""

from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp

from rag.gateway.v1 import access_service_pb2 as pb
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceServicer
from rag_common import errors
from rag_common.context import CALL, Principal
from rag_common.rpc.types import Context
from rag_gateway.access import Access, Grant
from rag_gateway.audit import Audit, Event
from rag_gateway.counter import Counter
from rag_gateway.credentials import ApiKey
from rag_gateway.policy import SCOPES
from rag_gateway.requests import Checks

_METHOD = "/rag.gateway.v1.AccessService/"
_PAGE = 100
_KEY_SECONDS = 90 * 86_400.0
_TOKEN_SECONDS = 900.0

Quota = Callable[[Principal], Awaitable[pb.GetQuotaResponse]]


class AccessServicer(AccessServiceServicer):
    """Translates; the core does the work, the interceptor has let the caller in."""

    def __init__(self, access: Access, audit: Audit, counter: Counter, quota: Quota) -> None:
        self._access = access
        self._audit = audit
        self._counter = counter
        self._quota = quota

    async def GetIdentity(
        self, request: pb.GetIdentityRequest, context: Context
    ) -> pb.GetIdentityResponse:
        by = _caller()
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
        return await self._quota(_caller())

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Context
    ) -> pb.CreateApiKeyResponse:
        with self._audit.doing(Event.KEY_CREATED, _METHOD + "CreateApiKey") as deed:
            by, grant = _caller(), _grant(request, _KEY_SECONDS)

            async def work() -> pb.CreateApiKeyResponse:
                name = request.display_name.strip()
                text, key = await self._access.create_key(by, name, grant)
                deed.target = key.key_id
                return pb.CreateApiKeyResponse(key=text, api_key=_message(key))

            return await self._counter.once("CreateApiKey", by, request, work, None)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Context
    ) -> pb.ListApiKeysResponse:
        with self._audit.doing(Event.KEYS_LISTED, _METHOD + "ListApiKeys"):
            Checks(request).done()
            found, token = await self._access.list_keys(
                _caller(), request.page_size or _PAGE, request.page_token
            )
        return pb.ListApiKeysResponse(api_keys=map(_message, found), next_page_token=token)

    async def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: Context
    ) -> pb.RevokeApiKeyResponse:
        method, target = _METHOD + "RevokeApiKey", request.api_key_id
        with self._audit.doing(Event.KEY_REVOKED, method, target):
            Checks(request).done()
            key = await self._access.revoke_key(_caller(), target)
        return pb.RevokeApiKeyResponse(api_key=_message(key))

    async def IssueToken(
        self, request: pb.IssueTokenRequest, context: Context
    ) -> pb.IssueTokenResponse:
        with self._audit.doing(Event.TOKEN_ISSUED, _METHOD + "IssueToken") as deed:
            by, grant = _caller(), _grant(request, _TOKEN_SECONDS)

            async def work() -> pb.IssueTokenResponse:
                issued = await self._access.issue_token(by, request.subject, grant)
                deed.target = issued.token_id
                return pb.IssueTokenResponse(
                    token=issued.token, token_id=issued.token_id, expire_time=_time(issued.expires)
                )

            return await self._counter.once("IssueToken", by, request, work, None)

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: Context
    ) -> pb.RevokeTokenResponse:
        method, target = _METHOD + "RevokeToken", request.token_id
        with self._audit.doing(Event.TOKEN_REVOKED, method, target):
            Checks(request).done()
            await self._access.revoke_token(_caller(), target)
        return pb.RevokeTokenResponse()


def _caller() -> Principal:
    call = CALL.get()
    if call is None or call.principal is None:
        raise errors.Unauthenticated("nobody is authenticated")
    return call.principal


def _grant(request: pb.CreateApiKeyRequest | pb.IssueTokenRequest, seconds: float) -> Grant:
    checks = Checks(request)
    for i, scope in enumerate(request.scopes):
        checks.require(scope in SCOPES, f"scopes[{i}]", f"is none of {', '.join(SCOPES)}")
    checks.done()
    if request.HasField("lifetime"):
        seconds = request.lifetime.seconds + request.lifetime.nanos / 1e9
    return Grant(tuple(request.scopes), tuple(request.collections), seconds)


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
    found = Timestamp()
    found.FromMilliseconds(round(seconds * 1000))
    return found
