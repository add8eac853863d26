"""Utilisation, saturation and errors of each service's resources."""

from tools.dashboards import workers
from tools.dashboards.board import INSTANCE, SERVICE, Board, Query, above, panel, section
from tools.dashboards.promql import quantile, rate

HERE = 'service=~"$service", instance=~"$instance"'
ONE = "{{service}} {{instance}}"


def _each(metric: str) -> str:
    return f"{metric}{{{HERE}}}"


_PROCESS = section(
    "Processes",
    panel(
        "Processor",
        "CPU cores that each process uses. A gateway uses about one core; the embedder uses all "
        "it can get.",
        rate("process_cpu_seconds_total", "service, instance", HERE),
        unit="suffix: cores",
        see=("RagInFlightHigh",),
    ),
    panel(
        "Memory",
        "Memory in use. One that only grows is a leak; the step of the embedder's at its start is "
        "its model.",
        Query(_each("process_resident_memory_bytes"), ONE),
        unit="bytes",
        see=("RagMemoryGrowing",),
    ),
    panel(
        "Open files",
        "Share of a process's file descriptors in use. At 100 % it accepts no connections.",
        Query(f"{_each('process_open_fds')} / {_each('process_max_fds')}", ONE),
        unit="percentunit",
        bounds=above(0.6, 0.8),
        see=("RagFileDescriptorsLow",),
    ),
    panel(
        "Event loop's lag",
        "How late the event loop wakes, p99. What blocks it makes every call of the process wait; "
        "the limits of a container do, too.",
        quantile(0.99, "rag_event_loop_lag_seconds", "service, instance", HERE),
        unit="s",
        bounds=above(0.05, 0.2),
        see=("RagEventLoopLag",),
    ),
    panel(
        "Garbage collection",
        "Share of time that each process is paused by garbage collection, by generation.",
        Query(
            rate("rag_gc_pause_seconds_sum", "service, instance, generation", HERE),
            f"{ONE} gen {{{{generation}}}}",
        ),
        unit="percentunit",
        bounds=above(0.02, 0.05),
        see=("RagEventLoopLag",),
    ),
    panel(
        "Threads",
        "Threads of each process. A number that only grows indicates a leak.",
        Query(_each("rag_threads"), ONE),
        see=("RagInFlightHigh",),
    ),
    panel(
        "Up since",
        "Uptime of each process. Drops to zero are restarts.",
        Query(f"time() - {_each('process_start_time_seconds')}", ONE),
        unit="s",
        see=("RagRestartLoop",),
    ),
    panel(
        "Log lines",
        "Log lines per second by level.",
        rate("rag_log_lines_total", "service, level", HERE),
        see=("RagInternalErrors",),
    ),
    panel(
        "Garbage collections",
        "Garbage collections per second, by generation. Frequent collections of the oldest "
        "generation cause event loop lag.",
        Query(
            rate("python_gc_collections_total", "service, generation", HERE),
            "{{service}} gen {{generation}}",
        ),
        see=("RagEventLoopLag",),
    ),
)

_ROOM = section(
    "Room for calls",
    panel(
        "Calls being served",
        "Calls in progress in each replica, and its limit of concurrent calls.",
        Query(_each("rag_rpc_server_in_flight"), f"{ONE} served"),
        Query(_each("rag_rpc_server_capacity"), f"{ONE} most"),
        see=("RagInFlightHigh",),
    ),
    panel(
        "Room in use",
        "The same as a share. Above 50 % each tenant gets an equal share; at 100 % calls are "
        "rejected.",
        Query(f"{_each('rag_rpc_server_in_flight')} / {_each('rag_rpc_server_capacity')}", ONE),
        unit="percentunit",
        bounds=above(0.6, 0.8),
        most=1,
        see=("RagInFlightHigh",),
    ),
    panel(
        "Searches",
        "The gateway's searches: running and waiting, compared with the number of slots.",
        Query("rag_searches_running", "{{instance}} running"),
        Query("rag_searches_waiting", "{{instance}} waiting"),
        Query("rag_searches_capacity", "{{instance}} places"),
        Query("rate(rag_searches_refused_total[$__rate_interval])", "{{instance}} refused/s"),
        see=("RagSearchesRefused", "RagSearchesWaiting", "rag-tenants"),
    ),
)


CAPACITY = Board(
    uid="rag-capacity",
    title="RAG capacity",
    about="Utilisation, saturation and errors of processes, admission, the model's queue and the workers.",
    sections=(_PROCESS, _ROOM, workers.EMBEDDER, workers.RETRIEVER),
    choices=(SERVICE, INSTANCE),
)
