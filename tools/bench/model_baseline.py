"""The bare model's speed in one process, without any service: model_baseline.py FOLDER SECONDS, to JSON.

Searches are compared with it: the same questions, tokenized and computed, at every sensible division
of the cores; the best one counts.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from rag_embedder.runtimes.onnx import OnnxModel
from tools.bench.wording import passages, questions

CORES = os.cpu_count() or 1


def main() -> None:
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    lone, shared = OnnxModel(folder, lone_threads=CORES), OnnxModel(folder)
    rates = {
        "query_1_caller_all_threads": rate(lone, questions(), "query: ", 1, seconds),
        "query_1_caller_1_thread": rate(shared, questions(), "query: ", 1, seconds),
        "query_1_caller_a_core": rate(shared, questions(), "query: ", CORES, seconds),
        "passage_1_caller_a_core": rate(shared, passages(), "passage: ", CORES, seconds),
    }
    print(json.dumps(rates))


def rate(
    model: OnnxModel, texts: Iterator[str], prompt: str, callers: int, seconds: float
) -> dict[str, float]:
    """Texts a second, their median latency and CPU each, in milliseconds."""
    supply, latencies = list(islice(texts, 5000)), list[float]()
    for text in supply[-20:]:
        encode(model, prompt + text)
    before, began = time.process_time(), time.monotonic()

    def work() -> None:
        while time.monotonic() < began + seconds:
            started = time.monotonic()
            encode(model, prompt + supply.pop(0))
            latencies.append(time.monotonic() - started)

    threads = [threading.Thread(target=work) for _ in range(callers)]
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


def encode(model: OnnxModel, text: str) -> None:
    model.encode([model.tokenize([text])[0].ids])


if __name__ == "__main__":
    main()
