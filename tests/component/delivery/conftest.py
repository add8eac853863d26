"""The shared fixtures of delivery."""

from tests.support.observability.fixtures import promtool

__all__ = ["promtool"]
