"""Attacks on the running services: on their memory, their streams, their scores and their files."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.exceptions
import h2.settings
import pytest
import pytest_asyncio

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as options
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag.types.v1 import filter_pb2 as filters
from tests.e2e.callers import Caller, refused
from tests.e2e.platform import Platform
from tests.support.waiting import until

MIB = 2**20
STREAMS = access.Quota.UNIT_CONCURRENT_STREAMS
ANSWER = "/rag.gateway.v1.AnswerService/Answer"
STREAM = "/rag.gateway.v1.AnswerService/StreamAnswer"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """Services of our own: what is done to them here would disturb others."""
    home = tmp_path_factory.mktemp("attacked") / "home"
    home.mkdir(mode=0o755)
    settings = {"EMBEDDER_MODELS_DIR": str(models), "GATEWAY_DEFAULT_DEADLINE": "5"}
    with Platform(home, settings) as platform:
        yield platform


@pytest_asyncio.fixture(scope="module")
async def channel(running: Platform) -> AsyncIterator[grpc.aio.Channel]:
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(running.target, options=unlimited) as opened:
        yield opened


def resident(running: Platform) -> int:
    """Bytes of memory that the gateway holds."""
    status = Path(f"/proc/{running._running['gateway'].process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


class Raw:
    """An HTTP/2 connection that sends and reads as slowly as it likes."""

    def __init__(self, running: Platform, window: int | None = None) -> None:
        port = running.specs["gateway"].port
        self._socket = socket.create_connection(("127.0.0.1", port))
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._state = h2.connection.H2Connection(config)
        self._state.initiate_connection()
        if window is not None:
            self._state.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})

    def begin(self, method: str, message: bytes, token: str = "", size: int | None = None) -> int:
        """A call whose message says that it has `size` bytes; gives the stream."""
        stream = self._state.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", method)]
        headers += [(":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers")]
        headers += [("authorization", f"Bearer {token}")] if token else []
        self._state.send_headers(stream, headers)
        head = struct.pack(">BI", 0, len(message) if size is None else size)
        self._state.send_data(stream, head + message, end_stream=size is None)
        self._flush()
        return stream

    def pour(self, left: dict[int, int], seconds: float) -> None:
        """Send so many more bytes on each stream, as far as the other side takes them."""
        self._socket.settimeout(seconds)
        try:
            while any(left.values()):
                sent = sum(self._some(stream, left) for stream in left)
                self._flush()
                if not sent:
                    self._state.receive_data(self._socket.recv(65_536))
        except (TimeoutError, OSError, h2.exceptions.ProtocolError):
            return

    def _some(self, stream: int, left: dict[int, int]) -> int:
        window = self._state.local_flow_control_window(stream)
        size = min(window, self._state.max_outbound_frame_size, left[stream])
        if size <= 0:
            return 0
        self._state.send_data(stream, bytes(size))
        left[stream] -= size
        return size

    def _flush(self) -> None:
        self._socket.sendall(self._state.data_to_send())

    def close(self) -> None:
        self._socket.close()


async def test_messages_of_strangers_that_do_not_end_hold_a_bounded_amount_of_memory(
    running: Platform,
) -> None:
    before = resident(running)
    raw = [Raw(running) for _ in range(2)]
    try:
        for one in raw:
            left = {one.begin(ANSWER, b"", size=15 * MIB): 15 * MIB - 1 for _ in range(16)}
            await asyncio.to_thread(one.pour, left, 5.0)
        assert resident(running) - before < 200 * MIB
    finally:
        for one in raw:
            one.close()


async def test_uploads_that_do_not_end_hold_a_bounded_amount_of_memory(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    before, forever = resident(running), asyncio.Event()
    uploading: Any = DocumentServiceStub(channel)
    sent = 0

    async def pieces(name: str) -> AsyncIterator[documents.UploadDocumentRequest]:
        nonlocal sent
        spec = documents.DocumentSpec(document_id=name)
        yield documents.UploadDocumentRequest(header=documents.UploadHeader(document=spec))
        for _ in range(60):
            yield documents.UploadDocumentRequest(content=bytes(MIB))
        sent += 1
        await forever.wait()

    metadata = (("authorization", f"Bearer {running.token('uploads')}"),)
    calls = [
        uploading.UploadDocument(pieces(f"d{n}"), metadata=metadata, timeout=120) for n in range(24)
    ]
    try:
        await until(lambda: sent + sum(call.done() for call in calls) >= len(calls), "all are sent")
        assert resident(running) - before < 600 * MIB
    finally:
        for call in calls:
            call.cancel()


async def test_a_message_beyond_what_its_fields_may_hold_is_refused_before_it_is_taken_apart(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    caller = Caller(channel, running.token("giant"))
    number = answers.AnswerRequest.DESCRIPTOR.fields_by_name["passages"].number
    empty = bytes([number << 3 | 2, 0])
    result = await refused(
        channel.unary_unary(ANSWER)(empty * (6 * MIB), metadata=caller.metadata, timeout=60)
    )
    assert result.code == "RESOURCE_EXHAUSTED"


async def test_a_stream_whose_reader_stands_still_ends_with_its_time(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    token = running.token("slow")
    asking: Any = AccessServiceStub(channel)

    async def free() -> bool:
        metadata = (("authorization", f"Bearer {token}"),)
        reply = await asking.GetQuota(access.GetQuotaRequest(), metadata=metadata)
        return all(one.remaining == one.limit for one in reply.quotas if one.unit == STREAMS)

    async def busy() -> bool:
        return not await free()

    raw = Raw(running, window=0)
    try:
        request = answers.StreamAnswerRequest(query="휴가는 며칠인가요?")
        raw.begin(STREAM, request.SerializeToString(), token)
        await until(busy, "the stream is open")
        await until(free, "the stream has ended", seconds=25)
    finally:
        raw.close()


async def test_scores_tell_nothing_of_closed_collections(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    everyone = Caller(channel, running.token("scores"))
    limited = Caller(channel, running.token("scores", collections=["open"]))
    await everyone.ingest("mine", "쿠르마타 관련 안내문입니다.", "open")
    await everyone.ingest("other", "점심 식단 안내문입니다.", "open")

    async def score() -> float:
        how = options.RetrievalOptions(mode=options.RETRIEVAL_MODE_SPARSE, top_k=1)
        reply = await limited.search("쿠르마타", retrieval=how, explain=True)
        return float(reply.passages[0].evidence.sparse_score)

    before = await score()
    for n in range(4):
        await everyone.ingest(f"secret-{n}", f"쿠르마타 인수 계획 {n}", "secret")
    assert await score() == before


async def test_a_search_of_all_open_collections_finds_nothing_where_one_of_them_is_empty(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    everyone = Caller(channel, running.token("empties"))
    await everyone.ingest("one", "점심 식단 안내문입니다.", "open")
    limited = Caller(channel, running.token("empties", collections=["open", "to-come"]))
    nothing = filters.Condition(key="kind", any_of=filters.StringSet(values=["none"]))
    how = options.RetrievalOptions(filter=filters.Filter(must=[nothing]))
    reply = await limited.search("점심", retrieval=how)
    assert not reply.passages


async def test_nobody_else_on_the_machine_reads_what_tenants_gave(
    running: Platform, channel: grpc.aio.Channel
) -> None:
    await Caller(channel, running.token("files")).ingest("one", "비밀 문서입니다.")
    index = running.home / "index"

    def readable(path: Path) -> bool:
        """Whether others may enter every folder on the way, and read the file."""
        folders = [one for one in path.parents if one.is_relative_to(running.home)]
        return bool(path.stat().st_mode & 0o004) and all(
            one.stat().st_mode & 0o001 for one in folders
        )

    open_files = [path for path in index.rglob("*") if path.is_file() and readable(path)]
    assert not open_files
