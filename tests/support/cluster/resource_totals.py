"""What the objects of a rendered chart add up to, in the terms of a ResourceQuota."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

Objects = Iterable[Mapping[str, Any]]

# Suffixes of Kubernetes' quantities.
_UNITS = {
    "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
_COUNTED = {
    "ConfigMap": "configmaps",
    "Service": "services",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Deployment": "count/deployments.apps",
    "StatefulSet": "count/statefulsets.apps",
    "Job": "count/jobs.batch",
}


def quantity(value: str | int | float) -> Decimal:
    """A quantity such as 500m or 2Gi as a number."""
    text = str(value)
    unit = next(
        (unit for unit in ("Ki", "Mi", "Gi", "Ti", "m", "k", "M", "G") if text.endswith(unit)), ""
    )
    return Decimal(text.removesuffix(unit)) * _UNITS.get(unit, Decimal(1))


def totals(objects: Objects, *, scaled: bool) -> Counter[str]:
    """What a namespace's quota must allow for these objects, during a rollout of all of them.

    `scaled` counts the pods that the autoscalers may create, otherwise those that they keep.
    """
    every = list(objects)
    result: Counter[str] = Counter()
    for one in every:
        _count(one, result)
        if spec := _pod_spec(one):
            pods = _pods(one, every, scaled)
            result.update({name: pods * value for name, value in pod_totals(spec).items()})
            result["pods"] += pods
    return result


def pod_totals(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """What one pod uses of a quota: its containers together, or its largest init container."""
    result = {}
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory", "ephemeral-storage"):
            together = sum((_amount(one, kind, resource) for one in spec["containers"]), Decimal())
            first = [_amount(one, kind, resource) for one in spec.get("initContainers") or ()]
            result[f"{kind}.{resource}"] = max([together, *first])
    return result


def containers(objects: Objects) -> list[Mapping[str, Any]]:
    """Every container and init container."""
    specs = [spec for one in objects if (spec := _pod_spec(one))]
    return [
        one for spec in specs for one in [*spec["containers"], *(spec.get("initContainers") or ())]
    ]


def claims(one: Mapping[str, Any]) -> list[Decimal]:
    """Sizes of the volumes that an object claims, for one pod of it."""
    specs = [each["spec"] for each in one.get("spec", {}).get("volumeClaimTemplates") or ()]
    specs += [one["spec"]] if one["kind"] == "PersistentVolumeClaim" else []
    return [quantity(spec["resources"]["requests"]["storage"]) for spec in specs]


def _count(one: Mapping[str, Any], result: Counter[str]) -> None:
    if one["kind"] in _COUNTED:
        result[_COUNTED[one["kind"]]] += 1
    replicas = one["spec"].get("replicas", 1) if one["kind"] == "StatefulSet" else 1
    sizes = claims(one)
    result["requests.storage"] += sum(sizes) * replicas  # type: ignore[assignment]
    if one["kind"] == "StatefulSet":
        result["persistentvolumeclaims"] += len(sizes) * replicas
    if one["kind"] == "Service" and one["spec"].get("type") == "LoadBalancer":
        result["services.loadbalancers"] += 1
        result["services.nodeports"] += len(one["spec"]["ports"])


def _pod_spec(one: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if one["kind"] == "Pod":
        return one["spec"]
    template: Mapping[str, Any] = one.get("spec", {}).get("template") or {}
    return template.get("spec") if one["kind"] in ("Deployment", "StatefulSet", "Job") else None


def _pods(one: Mapping[str, Any], objects: Objects, scaled: bool) -> int:
    spec = one["spec"]
    replaced = spec.get("strategy", {}).get("type") != "Recreate"
    surge = 1 if one["kind"] == "Deployment" and replaced else 0
    named = {"kind": one["kind"], "name": one["metadata"]["name"]}
    for scaler in objects:
        target = scaler.get("spec", {}).get("scaleTargetRef") or {}
        if {key: target.get(key) for key in named} == named:
            bound = "maxReplicas" if scaled else "minReplicas"
            return int(scaler["spec"][bound]) + surge
    return int(spec.get("replicas") or 1) + surge


def _amount(container: Mapping[str, Any], kind: str, resource: str) -> Decimal:
    return quantity((container.get("resources") or {}).get(kind, {}).get(resource, 0))
