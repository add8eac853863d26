"""How full everything is: use, saturation and errors of each service's own resources."""

from scripts.dashboards import workers
from scripts.dashboards.board import INSTANCE, SERVICE, Board, Panel, Query, Section, above
from scripts.dashboards.promql import quantile, rate

HERE = 'service=~"$service", instance=~"$instance"'
ONE = "{{service}} {{instance}}"


def _each(metric: str) -> str:
    return f"{metric}{{{HERE}}}"


_PROCESS = Section(
    "Processes",
    (
        Panel(
            title="Processor",
            says="Cores that each process uses. A gateway is about one core; the embedder takes "
            "what it is given.",
            queries=(Query(rate("process_cpu_seconds_total", "service, instance", HERE), ONE),),
            unit="suffix: cores",
            runbooks=("RagInFlightHigh",),
        ),
        Panel(
            title="Memory",
            says="Memory in use. One that only grows is a leak; the step of the embedder's at "
            "its start is its model.",
            queries=(Query(_each("process_resident_memory_bytes"), ONE),),
            unit="bytes",
            runbooks=("RagMemoryGrowing",),
        ),
        Panel(
            title="Open files",
            says="Share of the files that a process may open. At 100 % connections are refused.",
            queries=(Query(f"{_each('process_open_fds')} / {_each('process_max_fds')}", ONE),),
            unit="percentunit",
            bounds=above(0.6, 0.8),
            runbooks=("RagFileDescriptorsLow",),
        ),
        Panel(
            title="Event loop's lag",
            says="How late the event loop wakes, p99. What blocks it makes every call of the "
            "process wait; the limits of a container do, too.",
            queries=(
                Query(quantile(0.99, "rag_event_loop_lag_seconds", "service, instance", HERE), ONE),
            ),
            unit="s",
            bounds=above(0.05, 0.2),
            runbooks=("RagEventLoopLag",),
        ),
        Panel(
            title="Garbage collection",
            says="Share of its time that each process stands still to collect, by generation.",
            queries=(
                Query(
                    rate("rag_gc_pause_seconds_sum", "service, instance, generation", HERE),
                    f"{ONE} gen {{{{generation}}}}",
                ),
            ),
            unit="percentunit",
            bounds=above(0.02, 0.05),
            runbooks=("RagEventLoopLag",),
        ),
        Panel(
            title="Threads",
            says="Threads of each process. A number that only grows means that some never end.",
            queries=(Query(_each("rag_threads"), ONE),),
            runbooks=("RagInFlightHigh",),
        ),
        Panel(
            title="Up since",
            says="How long each process has run. Saw teeth are restarts.",
            queries=(Query(f"time() - {_each('process_start_time_seconds')}", ONE),),
            unit="s",
            runbooks=("RagRestartLoop",),
        ),
        Panel(
            title="Log lines",
            says="Lines a second by level. Errors are worth reading; a flood of any level costs.",
            queries=(
                Query(rate("rag_log_lines_total", "service, level", HERE), "{{service}} {{level}}"),
            ),
            runbooks=("RagInternalErrors",),
        ),
        Panel(
            title="Garbage found",
            says="Collections a second, by generation. Frequent ones of the oldest generation "
            "come with lag of the event loop.",
            queries=(
                Query(
                    rate("python_gc_collections_total", "service, generation", HERE),
                    "{{service}} gen {{generation}}",
                ),
            ),
            runbooks=("RagEventLoopLag",),
        ),
    ),
)

_ROOM = Section(
    "Room for calls",
    (
        Panel(
            title="Calls being served",
            says="Calls under way in each replica, and the most that it serves at once.",
            queries=(
                Query(_each("rag_rpc_server_in_flight"), f"{ONE} served"),
                Query(_each("rag_rpc_server_capacity"), f"{ONE} most"),
            ),
            runbooks=("RagInFlightHigh",),
        ),
        Panel(
            title="Room in use",
            says="The same as a share. From half full on each tenant has an equal part; at 100 % "
            "calls are refused.",
            queries=(
                Query(
                    f"{_each('rag_rpc_server_in_flight')} / {_each('rag_rpc_server_capacity')}", ONE
                ),
            ),
            unit="percentunit",
            bounds=above(0.6, 0.8),
            most=1,
            runbooks=("RagInFlightHigh",),
        ),
        Panel(
            title="Searches",
            says="The gateway's turns of searches: running and waiting against the places.",
            queries=(
                Query("rag_searches_running", "{{instance}} running"),
                Query("rag_searches_waiting", "{{instance}} waiting"),
                Query("rag_searches_capacity", "{{instance}} places"),
            ),
            runbooks=("RagSearchesWaiting",),
            leads=("rag-tenants",),
        ),
    ),
)


CAPACITY = Board(
    uid="rag-capacity",
    title="RAG capacity",
    about="Use, saturation and errors of processes, room for calls, the model's queue and the workers.",
    sections=(_PROCESS, _ROOM, workers.EMBEDDER, workers.RETRIEVER),
    choices=(SERVICE, INSTANCE),
)
