"""What is drawn: for each picture its panels, for each panel its queries."""

from collections.abc import Sequence
from dataclasses import dataclass

_STAGES_IN_TURN = ("queue", "embed.tokenize", "embed.queue", "embed.inference", "search")
# Four scrapes of those of `make run`.
_WINDOW = "20s"


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot: expressions with their legends, and what its axis counts.

    `scale` is what values are multiplied by for the axis's unit; with `stacked`, areas lie on each other.
    `dashed` names the legends of bounds.
    """

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    scale: float = 1.0
    stacked: bool = False
    logarithmic: bool = False
    dashed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture: the name of its file, without ending, and its panels from above."""

    name: str
    panels: Sequence[Panel]


def _rate(series: str, by: str) -> str:
    return f"sum by ({by}) (rate({series}[{_WINDOW}]))"


def _quantiles(histogram: str, by: str = "le") -> list[tuple[str, str]]:
    rates = _rate(histogram, by)
    return [
        (f"histogram_quantile({share}, {rates})", name)
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ]


def _mean(histogram: str, by: str, matching: str = "") -> str:
    return (
        f"{_rate(f'{histogram}_sum{matching}', by)} / {_rate(f'{histogram}_count{matching}', by)}"
    )


def _method(name: str) -> str:
    return f'rag_rpc_server_duration_seconds_bucket{{method="rag.gateway.v1.AnswerService/{name}"}}'


def _stage(name: str) -> tuple[str, str]:
    return _mean("rag_stage_duration_seconds", "stage", f'{{stage="{name}"}}'), name


_CALLS = "rag_rpc_server_duration_seconds_count"
_TRAFFIC = Figure(
    "traffic",
    [
        Panel("Calls served", "calls/s", [(_rate(_CALLS, "service"), "{service}")]),
        Panel(
            "Calls that ended in an error",
            "calls/s",
            [(_rate(f'{_CALLS}{{code!="OK"}}', "service"), "{service}")],
        ),
        Panel(
            "Why the gateway refused",
            "calls/s",
            [(_rate('rag_rpc_refusals_total{service="gateway"}', "reason"), "{reason}")],
            stacked=True,
        ),
    ],
)
_LATENCY = Figure(
    "latency",
    [
        Panel("Search", "ms", _quantiles(_method("Search")), 1000),
        Panel("Answer", "ms", _quantiles(_method("Answer")), 1000),
    ],
)
_STAGES = Figure(
    "stages",
    [
        Panel(
            "Where the time of a search went, on average",
            "ms",
            [_stage(name) for name in _STAGES_IN_TURN],
            1000,
            stacked=True,
        ),
    ],
)
_QUEUE = Figure(
    "queue",
    [
        Panel(
            "Texts that wait for the model",
            "texts",
            [
                ("sum by (priority) (rag_embed_queue_texts)", "{priority}"),
                ("rag_embed_queue_capacity", "most that may wait"),
            ],
            dashed=["most that may wait"],
        ),
        Panel(
            "Wait in the queue, p95",
            "s",
            [
                (
                    f"histogram_quantile(0.95, {_rate('rag_embed_wait_seconds_bucket', 'le, priority')})",
                    "{priority}",
                )
            ],
            logarithmic=True,
        ),
        Panel(
            "A batch, on average",
            "tokens",
            [(_mean("rag_embed_batch_tokens", "service"), "size")],
        ),
    ],
)
_PROCESSES = Figure(
    "processes",
    [
        Panel(
            "CPU",
            "% of a core",
            [(_rate('process_cpu_seconds_total{job="rag"}', "service"), "{service}")],
            100,
        ),
        Panel(
            "Memory",
            "MiB",
            [('sum by (service) (process_resident_memory_bytes{job="rag"})', "{service}")],
            1 / 2**20,
        ),
    ],
)
_ANSWERS = Figure(
    "answers",
    [
        Panel(
            "Answers by outcome",
            "answers/s",
            [(_rate("rag_answers_total", "outcome"), "{outcome}")],
            stacked=True,
        ),
        Panel(
            "Share of answers",
            "%",
            [
                (
                    f'sum(rate(rag_degraded_total{{part="generator"}}[{_WINDOW}]))'
                    f" / sum(rate(rag_answers_total[{_WINDOW}]))",
                    "degraded: generator",
                ),
                (
                    f'sum(rate(rag_answers_total{{outcome=~"no_passages|weak_evidence|ungrounded"}}[{_WINDOW}]))'
                    f" / sum(rate(rag_answers_total[{_WINDOW}]))",
                    "no answer",
                ),
            ],
            100,
        ),
    ],
)

FIGURES = (_TRAFFIC, _LATENCY, _STAGES, _QUEUE, _PROCESSES, _ANSWERS)
