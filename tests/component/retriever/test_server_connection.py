"""The connection to a Qdrant server: failed reads are retried, at another node if there is one; TLS."""

import asyncio
import re
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace as replace_spec
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rag_common.settings import SettingsInvalid
from rag_contract.errors import AppError, NotConfigured, Unavailable
from rag_retriever.engines.server import Nodes, ServerCatalog, ServerOptions, TlsFiles, connected
from rag_retriever.engines.server.client import Client
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.nodes import connected_nodes
from rag_retriever.index.model import Query
from rag_retriever.index.ports import Catalog, Index
from rag_retriever.settings import Settings
from tests.component.contracts.test_races import Change, delete, race, replace
from tests.support.authority import Authority
from tests.support.contracts.fixtures import remove_collections, server_client
from tests.support.contracts.samples import SPEC, TEAM, document, put, vector
from tests.support.qdrant import QdrantServer, qdrant_cluster, qdrant_server
from tests.support.waiting import until

_HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


class Proxy:
    """Passes TCP connections on. `broken`, it ends them as soon as one sends; `hanging`, no byte passes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: list[asyncio.StreamWriter] = []
        self.broken = False
        self.hanging = False
        self.drops = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, there_writer]
        await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))

    def drop(self) -> None:
        """Close every connection, as a node that dies does."""
        self.drops += 1
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if self.broken:
                    self.drop()
                elif not self.hanging:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            return
        finally:
            sink.close()


@asynccontextmanager
async def proxied(
    port: int, host: str = "127.0.0.1", own: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, host, own, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.drop()


@pytest_asyncio.fixture
async def stored(qdrant: QdrantServer, options: ServerOptions) -> AsyncIterator[Catalog]:
    """A document in an index, by a connection that nothing happens to."""
    async with connected(qdrant.url, grpc_port=qdrant.grpc_port, options=options) as catalog:
        await catalog.create(SPEC)
        await put(await catalog.open(""), document(passages=3))
        yield catalog


async def read_everything(index: Index) -> None:
    """Each method that reads, and what it must give."""
    lists = await index.candidates(TEAM, Query(vector(0), None), 10)
    ids = [hit.passage_id for hit in lists.dense]
    assert len(ids) == 3
    assert len(await index.passages(TEAM, ids)) == 3
    assert len(await index.sparse_vectors(TEAM, ids)) == 3
    assert await index.document(document().key) is not None
    assert len((await index.documents(TEAM, "", 10))[0]) == 1
    assert len(await index.chunks(document().key, 0, 10)) == 3
    assert await index.count(TEAM) == (1, 3)


async def test_a_read_whose_connection_breaks_is_answered_at_the_second_try(
    qdrant: QdrantServer, options: ServerOptions, stored: Catalog
) -> None:
    async with (
        proxied(qdrant.grpc_port) as proxy,
        connected(qdrant.url, grpc_port=proxy.port, options=options) as catalog,
    ):
        index = await catalog.open("")
        reads: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: index.candidates(TEAM, Query(vector(0), None), 10),
            lambda: index.document(document().key),
            lambda: index.documents(TEAM, "", 10),
            lambda: index.chunks(document().key, 0, 10),
            lambda: index.count(TEAM),
            lambda: catalog.stats(""),
            catalog.list_indexes,
        ]
        for read in reads:
            proxy.broken, before = True, proxy.drops
            reading = asyncio.create_task(read())
            await until(lambda: proxy.drops > before, "the connection is broken")  # noqa: B023
            proxy.broken = False
            assert await reading


@pytest.mark.parametrize("broken_calls", [0, 1, 3])
async def test_a_read_is_retried_twice_at_most_and_a_write_never(
    qdrant: QdrantServer, broken_calls: int
) -> None:
    async with (
        proxied(qdrant.grpc_port) as proxy,
        connected_nodes([qdrant.url], proxy.port, 5, None, TlsFiles()) as nodes,
    ):
        calls = 0

        async def call(client: Client) -> object:
            nonlocal calls
            calls += 1
            proxy.broken = calls <= broken_calls
            return await _list(client)

        # gRPC may still wait to reconnect when the first retry comes.
        reads = {0: [1], 1: [2, 3], 3: [3]}[broken_calls]
        for method, expected, fails in (
            (nodes.read, reads, broken_calls == 3),
            (nodes.write, [1], broken_calls > 0),
        ):
            calls, proxy.broken = 0, False
            await until(lambda: _answers(nodes), "the connection is there")
            with pytest.raises(Unavailable) if fails else nullcontext():
                await method(call)
            assert calls in expected


async def test_reads_go_on_at_another_node_while_one_refuses_or_hangs(
    qdrant: QdrantServer, options: ServerOptions, stored: Catalog
) -> None:
    """Both nodes are one server here, under two addresses; the cluster's own test is below."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(proxied(qdrant.grpc_port, "127.0.0.2"))
        second = await stack.enter_async_context(proxied(qdrant.grpc_port, "127.0.0.3", first.port))
        urls = f"http://127.0.0.2:{qdrant.http_port}, http://127.0.0.3:{qdrant.http_port}"
        catalog = await stack.enter_async_context(
            connected(urls, grpc_port=first.port, timeout=4, options=options)
        )
        index = await catalog.open("")
        await read_everything(index)
        for node in (first, second):
            node.hanging = True
            began = monotonic()
            await read_everything(index)
            assert monotonic() - began < 4
            node.hanging = False
            node.drop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def secure(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[QdrantServer]:
    """A server with TLS."""
    folder = tmp_path_factory.mktemp("server-tls")
    authority.lay(folder, "localhost")
    with qdrant_server(
        SERVICE__ENABLE_TLS="true",
        TLS__CERT=str(folder / "tls.crt"),
        TLS__KEY=str(folder / "tls.key"),
    ) as server:
        yield server


async def _listed(url: str, grpc_port: int, tls: TlsFiles) -> list[object]:
    options = ServerOptions(prefix="nothing-has-this-")
    async with connected(url, grpc_port=grpc_port, timeout=3, tls=tls, options=options) as catalog:
        return list(await catalog.list_indexes())


async def test_a_server_with_tls_answers_over_roots_that_are_given(
    secure: QdrantServer, authority: Authority, tmp_path: Path
) -> None:
    authority.lay(tmp_path, "rag-retriever")
    Authority("another").lay(tmp_path / "other", "rag-retriever")
    address = secure.url, secure.grpc_port
    assert await _listed(*address, TlsFiles(tmp_path / "ca.crt")) == []
    for wrong in (TlsFiles(), TlsFiles(tmp_path / "other" / "ca.crt")):
        with pytest.raises(Unavailable):
            await _listed(*address, wrong)
    with pytest.raises(SettingsInvalid, match=r"nothing\.crt"):
        await _listed(*address, TlsFiles(tmp_path / "nothing.crt"))


async def test_a_certificate_of_its_own_is_shown_to_who_asks_for_one(
    qdrant: QdrantServer, authority: Authority, tmp_path: Path
) -> None:
    """Qdrant itself asks for none on its gRPC port; a proxy before it, or a mesh, does."""
    authority.lay(tmp_path, "localhost")
    Authority("another").lay(tmp_path / "other", "rag-retriever")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.crt")
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.set_alpn_protocols(["h2"])
    async with proxied(qdrant.grpc_port, tls=tls) as proxy:
        address, roots = (qdrant.url.replace("http:", "https:"), proxy.port), tmp_path / "ca.crt"
        own, other = (
            TlsFiles(roots, folder / "tls.crt", folder / "tls.key")
            for folder in (tmp_path, tmp_path / "other")
        )
        assert await _listed(*address, own) == []
        for wrong in (TlsFiles(roots), other):
            with pytest.raises(Unavailable):
                await _listed(*address, wrong)


@pytest.mark.long
@pytest.mark.parametrize("first", [replace, delete], ids=["replace-replace", "replace-delete"])
async def test_callers_at_different_nodes_of_a_cluster_leave_one_whole_version_or_none(
    options: ServerOptions, first: Change
) -> None:
    with qdrant_cluster(_HOSTS) as nodes:
        copies = ServerOptions(options.prefix, replicas=2, shards=3)
        async with AsyncExitStack() as stack:
            catalogs = [
                await stack.enter_async_context(
                    connected(node.url, grpc_port=node.grpc_port, options=copies)
                )
                for node in nodes
            ]
            await until(lambda: _created(catalogs[0]), "the cluster makes an index")
            await until(lambda: nodes[2].is_whole(f"{copies.prefix}{SPEC.name}"), "it is whole")
            callers = [await catalog.open("") for catalog in catalogs]
            await race(callers, replace, first, 300, shards=3)


@pytest.mark.long
async def test_while_nodes_of_a_cluster_are_killed_every_read_is_answered(
    options: ServerOptions,
) -> None:
    """Three nodes, two copies of each shard; any node is killed, the one that answers too."""
    with qdrant_cluster(_HOSTS) as nodes:
        urls = ",".join(node.url for node in nodes)
        copies = ServerOptions(options.prefix, replicas=2, shards=3)
        async with connected(urls, grpc_port=nodes[0].grpc_port, options=copies) as catalog:
            await until(lambda: _created(catalog), "the cluster makes an index")
            collection = f"{options.prefix}{SPEC.name}"
            index = await catalog.open("")
            await put(index, document(passages=3))
            reads, stop = 0, asyncio.Event()

            async def read() -> None:
                nonlocal reads
                while not stop.is_set():
                    await read_everything(index)
                    reads += 1

            reading = asyncio.create_task(read())
            for victim in (*nodes, nodes[0], nodes[1]):
                before = reads
                await asyncio.to_thread(victim.kill)
                await until(lambda: reads > before + 20 or reading.done(), "reads go on")  # noqa: B023
                await asyncio.to_thread(victim.start)
                await until(
                    lambda: all(node.is_whole(collection) for node in nodes),
                    "every copy is up to date",
                )
            stop.set()
            await reading
            assert reads > 100


async def _created(catalog: Catalog) -> bool:
    try:
        return (await catalog.create(SPEC)).is_default
    except AppError:
        return False


async def _list(client: Client) -> Any:
    return await client.grpc_collections.List(pb.ListCollectionsRequest())


async def _answers(nodes: Nodes) -> bool:
    try:
        await nodes.write(_list)
    except Unavailable:
        return False
    return True


async def test_an_answer_that_cannot_be_parsed_is_asked_for_again(qdrant: QdrantServer) -> None:
    """It is None."""
    tries = 0

    async def call(client: Client) -> int:
        nonlocal tries
        tries += 1
        answer = None if tries == 1 else await _list(client)
        return len(answer.collections)  # type: ignore[union-attr]

    async with connected_nodes([qdrant.url], qdrant.grpc_port, 5, None, TlsFiles()) as nodes:
        assert await nodes.read(call) >= 0
    assert tries == 2


async def test_another_process_sees_that_the_alias_moved_unless_it_may_be_old(
    qdrant: QdrantServer,
) -> None:
    second = replace_spec(SPEC, name="second")
    options = ServerOptions(prefix=f"alias-{uuid.uuid4().hex[:8]}-")
    opened = partial(connected, qdrant.url, grpc_port=qdrant.grpc_port, options=options)
    async with opened() as one, opened() as other:
        await one.create(SPEC)
        await one.create(second)
        assert (await other.open("", max_age=60)).spec == SPEC
        await one.switch("second")
        assert (await other.open("", max_age=60)).spec == SPEC
        assert (await other.open("")).spec == second
        assert (await other.open("", max_age=60)).spec == second
    await remove_collections(qdrant, options.prefix)


async def test_an_alias_that_was_read_before_it_moved_is_not_kept(qdrant: QdrantServer) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    class Slow(Nodes):
        async def read(self, call: Callable[[Client], Any]) -> Any:
            result = await super().read(call)
            if slow and isinstance(result, pb.ListAliasesResponse):
                arrived.set()
                await go.wait()
            return result

    slow = False
    options = ServerOptions(prefix=f"alias-{uuid.uuid4().hex[:8]}-")
    async with server_client(qdrant) as client:
        catalog = ServerCatalog(Slow([client], 5), options)
        await catalog.create(SPEC)
        await catalog.create(replace_spec(SPEC, name="second"))
        slow = True
        opening = asyncio.create_task(catalog.open(""))
        await arrived.wait()
        slow = False
        await catalog.switch("second")
        go.set()
        assert (await opening).spec == SPEC
        assert (await catalog.open("", max_age=60)).spec.name == "second"
    await remove_collections(qdrant, options.prefix)


@pytest.mark.parametrize("version", ["1.18.3", "0.11.0"])
async def test_a_server_that_would_ignore_parts_of_requests_is_refused(
    qdrant: QdrantServer, version: str
) -> None:
    class Old(Client):
        async def info(self) -> pb.HealthCheckReply:
            return pb.HealthCheckReply(title="qdrant", version=version)

    options = ServerOptions(prefix=f"old-{uuid.uuid4().hex[:8]}-")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{qdrant.grpc_port}") as channel:
        catalog = ServerCatalog(Nodes([Old(channel)], 5), options)
        with pytest.raises(NotConfigured, match=re.escape(version)):
            await catalog.create(SPEC)
        assert await catalog.list_indexes() == []


@pytest.mark.parametrize("half", ["certificate", "key"])
def test_a_certificate_without_its_key_is_refused(
    half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"RETRIEVER_QDRANT_{half.upper()}_FILE", "/tls/file")
    with pytest.raises(SettingsInvalid, match="key"):
        Settings.load()


async def test_quantised_vectors_are_in_memory_and_the_original_ones_on_disk(
    qdrant: QdrantServer,
) -> None:
    options = ServerOptions(prefix=f"int8-{uuid.uuid4().hex[:8]}-", int8=True)
    async with connected(qdrant.url, grpc_port=qdrant.grpc_port, options=options) as catalog:
        await catalog.create(SPEC)
        async with server_client(qdrant) as client:
            config = (await client.get_collection(f"{options.prefix}{SPEC.name}")).config
        [dense] = [one for one in config.params.vectors.values() if one.size == SPEC.dimensions]
        assert dense.on_disk
        assert config.quantization_config.scalar.always_ram
    await remove_collections(qdrant, options.prefix)
