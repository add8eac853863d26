"""What a deployment of so many passages and questions needs: measured figures, carried on by formulas."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression

GIB = 2**30
_KIB, _MIB = 2**10, 2**20
_HOURS_A_MONTH = 730.0


@dataclass(frozen=True, slots=True)
class Measured:
    """An index of that many passages on a Qdrant server: bytes a passage, and milliseconds of a search."""

    passages: int
    memory: float
    disk: float
    search_ms: float


@dataclass(frozen=True, slots=True)
class Inputs:
    """CPU milliseconds and memory in MiB by service, the vectors' bytes, assumptions and prices.

    `growth` is measured, smallest first.
    """

    growth: Sequence[Measured]
    cpu_ms: Mapping[str, float]
    generator_cpu_ms: float
    memory_mib: Mapping[str, float]
    float_vector: float
    int8_vector: float
    links: float
    assumptions: Mapping[str, float]
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pods:
    """Replicas of one service, with vCPU and memory in GiB of each."""

    replicas: int
    vcpu: float
    gib: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Qdrant cluster: shards, nodes with vCPU and memory in GiB each, and disk in GiB in all."""

    shards: int
    replicas: int
    nodes: int
    vcpu: float
    gib: float
    disk_gib: float


def interpolated(points: Sequence[tuple[float, float]], size: float) -> float:
    """Between measured points along the logarithm of the size; beyond them the nearest one's value."""
    for (low, first), (high, second) in pairwise(points):
        if low <= size <= high:
            share = math.log(size / low) / math.log(high / low)
            return first + share * (second - first)
    return points[0][1] if size < points[0][0] else points[-1][1]


def memory_bytes(inputs: Inputs, passages: int, *, int8: bool) -> float:
    """Memory of the index. With int8 the original vectors are on disk, and those in int8 in memory."""
    points = [(float(one.passages), one.memory) for one in inputs.growth]
    each = interpolated(points, passages)
    if int8:
        floor = inputs.int8_vector + inputs.links
        each = max(each - inputs.float_vector + inputs.int8_vector, floor)
    return each * passages


def disk_bytes(inputs: Inputs, passages: int, *, int8: bool) -> float:
    """Disk of one copy of the index, without room to optimize it."""
    points = [(float(one.passages), one.disk) for one in inputs.growth]
    return (interpolated(points, passages) + int8 * inputs.int8_vector) * passages


def search_ms(growth: Sequence[Measured], passages: float) -> float:
    """Milliseconds of one search: a + b x log10(passages), by least squares; not under the fastest measured."""
    sizes = [math.log10(one.passages) for one in growth]
    line = linear_regression(sizes, [one.search_ms for one in growth])
    fastest = min(one.search_ms for one in growth)
    return max(line.intercept + max(line.slope, 0) * math.log10(passages), fastest)


def cluster(inputs: Inputs, passages: int, rate: float, *, int8: bool) -> Cluster:
    """The Qdrant cluster for so many passages and questions a second. Each search visits all shards."""
    given = inputs.assumptions
    node_bytes = given["node_gib"] * given["node_fill"] * GIB
    memory = memory_bytes(inputs, passages, int8=int8)
    shards = math.ceil(memory / node_bytes)
    # What the copies of one shard need together.
    vcpu = rate * search_ms(inputs.growth, passages / shards) / 1000 / given["utilization"]
    replicas = max(int(given["qdrant_replicas"]), math.ceil(vcpu / given["node_vcpu"]))
    return Cluster(
        shards=shards,
        replicas=replicas,
        nodes=max(int(given["min_nodes"]), shards * replicas),
        vcpu=_vcpu(vcpu / replicas, given["min_vcpu"]),
        gib=max(math.ceil(memory / shards / given["node_fill"] / GIB), given["min_node_gib"]),
        disk_gib=disk_bytes(inputs, passages, int8=int8) * replicas * given["disk_factor"] / GIB,
    )


def services(inputs: Inputs, rate: float) -> dict[str, Pods]:
    """The pods of each service for so many questions a second, each with one extractive answer."""
    costs = {**inputs.cpu_ms, "generator": inputs.generator_cpu_ms}
    return {name: _pods(inputs, name, rate * cost / 1000) for name, cost in costs.items()}


def _pods(inputs: Inputs, name: str, busy: float) -> Pods:
    """`busy` is how many vCPU the service keeps busy."""
    given = inputs.assumptions
    needed = busy / given["utilization"]
    # A process of Python computes on one core; only the embedder's model uses more.
    largest = given["max_vcpu"] if name in ("embedder", "envoy") else 1.0
    replicas = max(int(given["min_replicas"]), math.ceil(needed / largest))
    return Pods(
        replicas,
        _vcpu(needed / replicas, given["min_vcpu"]),
        inputs.memory_mib[name] * _MIB / GIB,
    )


def _vcpu(needed: float, smallest: float) -> float:
    """Rounded up to a quarter."""
    return max(math.ceil(needed * 4) / 4, smallest)


def cost_per_million(inputs: Inputs, passages: int, rate: float, *, int8: bool) -> float:
    """What a million questions cost at a steady rate: all that is reserved, for as long as they take."""
    index, pods = cluster(inputs, passages, rate, int8=int8), services(inputs, rate).values()
    vcpu = index.nodes * index.vcpu + sum(one.replicas * one.vcpu for one in pods)
    gib = index.nodes * index.gib + sum(one.replicas * one.gib for one in pods)
    prices = inputs.prices
    hourly = (
        vcpu * prices["vcpu_hour"]
        + gib * prices["gib_hour"]
        + index.disk_gib * prices["disk_gib_month"] / _HOURS_A_MONTH
    )
    return hourly * 1e6 / rate / 3600


def growth_rows(page: str, engine: str = "server") -> list[Measured]:
    """The rows of an engine in the table "A growing index" of docs/benchmarks.md, smallest first.

    Raises ValueError if there are fewer than two, of which no line can be drawn.
    """
    section = page.partition("\n## A growing index\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    if not lines or "p50 ms with the graph" not in lines[0]:
        raise ValueError("docs/benchmarks.md has no table of a growing index")
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    found = [_measured(row) for row in rows if row["engine"] == engine]
    if len(found) < 2:  # a line needs two points
        raise ValueError(f"docs/benchmarks.md has fewer than two sizes of the engine {engine}")
    return sorted(found, key=lambda one: one.passages)


def _measured(row: Mapping[str, str]) -> Measured:
    return Measured(
        passages=int(row["passages"].replace(",", "")),
        memory=float(row["memory KiB/passage"]) * _KIB,
        disk=float(row["disk KiB/passage"]) * _KIB,
        search_ms=float(row["p50 ms with the graph"]),
    )
