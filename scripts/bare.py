"""The bare model's speed, in one process and without any service: bare.py FOLDER SECONDS, to JSON.

Searches are measured against this: the same questions, tokenised and computed, at every sensible
division of the cores; the best one counts.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from rag_client.load.wording import passages, questions
from rag_embedder.adapters.onnx import OnnxModel

CORES = os.cpu_count() or 1


def main() -> None:
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    found: dict[str, object] = {"cores": CORES}
    lone = OnnxModel(folder, lone_threads=CORES)
    shared = OnnxModel(folder)
    found["query_1_caller_all_threads"] = rate(lone, questions(), "query: ", 1, seconds)
    found["query_1_caller_1_thread"] = rate(shared, questions(), "query: ", 1, seconds)
    found["query_1_caller_a_core"] = rate(shared, questions(), "query: ", CORES, seconds)
    found["passage_1_caller_a_core"] = rate(shared, passages(), "passage: ", CORES, seconds)
    print(json.dumps(found))


def rate(
    model: OnnxModel, texts: Iterator[str], prompt: str, callers: int, seconds: float
) -> dict[str, float]:
    """Texts a second, their median latency, and CPU for each, in milliseconds."""
    supply = iter(list(islice(texts, 5000)))
    lock, latencies = threading.Lock(), list[float]()
    warm(model, prompt)
    stop = time.monotonic() + seconds
    before, began = time.process_time(), time.monotonic()
    threads = [
        threading.Thread(target=work, args=(model, supply, prompt, lock, latencies, stop))
        for _ in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, cpu = time.monotonic() - began, time.process_time() - before
    return {
        "rate": len(latencies) / elapsed,
        "p50_ms": median(latencies) * 1000,
        "cpu_ms": cpu / len(latencies) * 1000,
    }


def warm(model: OnnxModel, prompt: str) -> None:
    for text in islice(questions(), 20):
        model.encode([model.tokenize([prompt + text])[0].ids])


def work(
    model: OnnxModel,
    supply: Iterator[str],
    prompt: str,
    lock: threading.Lock,
    latencies: list[float],
    stop: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    while clock() < stop:
        with lock:
            text = next(supply)
        began = clock()
        model.encode([model.tokenize([prompt + text])[0].ids])
        took = clock() - began
        with lock:
            latencies.append(took)


if __name__ == "__main__":
    main()
