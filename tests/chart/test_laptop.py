"""The values for a laptop fit four CPUs and 8 GB."""

from tests.chart.test_pods import amount
from tests.support.chart.cases import Case
from tests.support.chart.rendering import Object


def most(spec: Object, kind: str, resource: str) -> float:
    """What a pod needs: its containers together, or the largest of those that prepare it."""
    together = sum(amount(one["resources"][kind][resource]) for one in spec["containers"])
    preparing = [amount(one["resources"][kind][resource]) for one in spec.get("initContainers", ())]
    return max([together, *preparing])


def total(kind: str, resource: str) -> float:
    rendered = Case("values-laptop").rendered
    sizes = {name: one["spec"].get("replicas", 1) for name, one in workloads(rendered.workloads)}
    assert set(sizes.values()) == {1}
    return sum(most(spec, kind, resource) for _, spec in rendered.pods)


def workloads(objects: list[Object]) -> list[tuple[str, Object]]:
    return [(one["metadata"]["name"], one) for one in objects]


def test_requests_fit() -> None:
    assert total("requests", "cpu") <= 4
    assert total("requests", "memory") <= 8e9


def test_the_memory_that_all_may_use_at_once_fits() -> None:
    assert total("limits", "memory") <= 8e9
