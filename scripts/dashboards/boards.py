"""The dashboards, in the order in which one goes from one to the next."""

from scripts.dashboards.capacity import CAPACITY
from scripts.dashboards.edge import EDGE
from scripts.dashboards.journey import JOURNEY
from scripts.dashboards.overview import OVERVIEW
from scripts.dashboards.quality import QUALITY
from scripts.dashboards.stores import STORES
from scripts.dashboards.tenants import TENANTS

BOARDS = (OVERVIEW, JOURNEY, QUALITY, TENANTS, CAPACITY, STORES, EDGE)
