"""Grafana's dashboards as code: what each panel asks and says here, its JSON below deploy/observability."""
