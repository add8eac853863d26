"""The forms of PromQL that the panels are made of."""

from collections.abc import Iterator, Sequence

from tools.dashboards.board import Query, labels_legend

_WINDOW = "$__rate_interval"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """How fast a counter grows, a second."""
    return f"sum{_by(by)} (rate({metric}{_where(where)}[{_WINDOW}]))"


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """Below which value a share `q` of what a histogram has counted lies."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels, where)})"


def quantiles(
    shares: Sequence[float], histogram: str, by: str = "", where: str = "", name: str = ""
) -> Iterator[Query]:
    """A query for each of the shares, named by its labels, by `name` and as a percentile."""
    for q in shares:
        legend = (labels_legend(by), name, f"p{round(q * 100)}")
        yield Query(quantile(q, histogram, by, where), " ".join(filter(None, legend)))


def mean(histogram: str, by: str = "", where: str = "") -> str:
    """The average of what a histogram has counted."""
    return f"{rate(f'{histogram}_sum', by, where)} / {rate(f'{histogram}_count', by, where)}"


def buckets(histogram: str, where: str = "") -> str:
    """A histogram's buckets, each for itself, as a heatmap wants them."""
    return f"sum by (le) (increase({histogram}_bucket{_where(where)}[{_WINDOW}]))"


def share(counter: str, part: str, by: str = "", where: str = "") -> str:
    """The share of what a counter counts that matches `part`; nothing where none ever did."""
    both = ", ".join(matchers for matchers in (where, part) if matchers)
    return f"{rate(counter, by, both)} / {rate(counter, by, where)}"


def lacking(counter: str, good: str, by: str = "", where: str = "") -> str:
    """The share of what a counter counts that is not `good`; 0 where all of it is."""
    return f"1 - ({share(counter, good, by, where)})"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _where(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""
