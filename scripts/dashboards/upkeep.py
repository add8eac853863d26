"""What ends or grows old unless something renews it, and whether telemetry itself arrives."""

from scripts.dashboards.board import Panel, Query, Section, above, below
from scripts.dashboards.promql import rate

_DAY = 86_400

AGES = Section(
    "What ends or grows old",
    (
        Panel(
            title="Certificates",
            says="Time until each service's own certificate ends. It is renewed at two thirds of "
            "its life: a line that falls below a third has not been.",
            queries=(Query("min by (service) (rag_certificate_seconds)", "{{service}}"),),
            unit="s",
            bounds=below(_DAY / 24, _DAY / 4),
            runbooks=(
                "RagCertificateExpiring",
                "RagCertificateNotRenewed",
            ),
            width=6,
        ),
        Panel(
            title="Leases of secrets",
            says="Time until each service's lease of its secrets ends. It is renewed long before.",
            queries=(Query("min by (service) (rag_secrets_lease_seconds)", "{{service}}"),),
            unit="s",
            bounds=below(300, 900),
            runbooks=("RagSecretsLeaseExpiring",),
            width=6,
        ),
        Panel(
            title="Keys of issuers",
            says="How long ago the keys were read that tokens are checked with. While it grows, "
            "a revoked key still counts.",
            queries=(Query("max by (issuer) (rag_jwks_age_seconds)", "{{issuer}}"),),
            unit="s",
            bounds=above(600, 900),
            runbooks=("RagKeysStale",),
            width=6,
        ),
        Panel(
            title="Backup",
            says="How long ago the index was last backed up, by the stamp that the backup job "
            "touches.",
            queries=(Query("max by (instance) (rag_backup_age_seconds)", "{{instance}}"),),
            unit="s",
            bounds=above(_DAY, 26 * 3600),
            runbooks=("RagBackupOld",),
            width=6,
        ),
    ),
)

TELEMETRY = Section(
    "Telemetry itself",
    (
        Panel(
            title="Sent",
            says="Spans, log records and metrics a second that the collector took.",
            queries=(
                Query(
                    rate("rag_telemetry_exported_total", "service, signal"),
                    "{{service}} {{signal}}",
                ),
            ),
            runbooks=("RagTelemetryDropped",),
        ),
        Panel(
            title="Dropped",
            says="What was dropped: full, because the queue was; failed, because the collector "
            "did not take it. Calls go on; what happened then is not seen.",
            empty="nothing is dropped",
            queries=(
                Query(
                    rate("rag_telemetry_dropped_total", "service, signal, reason"),
                    "{{service}} {{signal}} {{reason}}",
                ),
            ),
            runbooks=("RagTelemetryDropped",),
        ),
        Panel(
            title="Waiting",
            says="What waits to be sent. A queue that is full drops.",
            queries=(
                Query("max by (service, signal) (rag_telemetry_queue)", "{{service}} {{signal}}"),
            ),
            runbooks=("RagTelemetryDropped",),
        ),
    ),
)
