"""Runs an exported model on ONNX Runtime: the runtime for CPUs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag_embedder.embedding.tokens import Tokens
from rag_embedder.models import manifest
from rag_embedder.models.manifest import fingerprint
from rag_embedder.models.prepare_model import has_pieces
from rag_embedder.runtimes.sentencepiece_tokenizer import SentencePieceTokenizer
from rag_embedder.runtimes.tokenizer import TextTokenizer

# Measured on AVX-512, 25 tokens: the fused kernel takes 53 us, Add and LayerNormalization 16 us.
_SLOWER_FUSED = {"SkipLayerNormFusion"}


class OnnxModel:
    """Texts to unit vectors. Every method may be called from several threads at once.

    Each call of `encode` computes on its caller's thread, so as many callers as cores use the whole
    machine. `lone_threads` above 1 opens a second session with that many threads, used by a call
    while no other is running: lower latency, at the cost of the weights' memory again.
    """

    def __init__(self, directory: Path, lone_threads: int = 1) -> None:
        self.manifest = manifest.read(directory)
        self.fingerprint = fingerprint(self.manifest)
        self._tokenizer = _tokenizer(directory, self.manifest.max_tokens)
        graph = directory / "model.onnx"
        self._shared = _session(graph, threads=1)
        self._lone = _session(graph, lone_threads) if lone_threads > 1 else self._shared
        self._running = 0
        self._lock = Lock()

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """The token ids of each text, special ones included; the caller adds prompts."""
        return self._tokenizer.tokenize(texts)

    def decode(self, ids: Sequence[int]) -> list[str]:
        """The string of each token id, special ones included."""
        return self._tokenizer.decode(ids)

    def encode(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Unit vectors [n, dims] of token ids from `tokenize`."""
        if not batch:
            return np.empty((0, self.manifest.dims), np.float32)
        ids, mask = _padded(batch)
        with self._session() as session:
            (vectors,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        return np.asarray(vectors, np.float32)

    @contextmanager
    def _session(self) -> Iterator[ort.InferenceSession]:
        with self._lock:
            session = self._shared if self._running else self._lone
            self._running += 1
        try:
            yield session
        finally:
            with self._lock:
                self._running -= 1


def _tokenizer(directory: Path, max_tokens: int) -> TextTokenizer | SentencePieceTokenizer:
    """The tokenizer of a prepared model: SentencePiece if its pieces have a file of their own."""
    if has_pieces(directory):
        return SentencePieceTokenizer(directory, max_tokens)
    return TextTokenizer(Tokenizer.from_file(str(directory / "tokenizer.json")), max_tokens)


def _session(graph: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Lengths vary between calls: a memory pattern for each would be cached for ever.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(
        str(graph),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=_SLOWER_FUSED,
    )


def _padded(batch: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask, [n, longest]; masked ids are 0, which is in every vocabulary."""
    longest = max(map(len, batch))
    ids = np.zeros((len(batch), longest), np.int64)
    mask = np.zeros((len(batch), longest), np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask
