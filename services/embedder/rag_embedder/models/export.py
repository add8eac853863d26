"""Exports a sentence-transformers bi-encoder for ONNX Runtime, with fused operators and optional int8."""

import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import PretrainedConfig

from rag_embedder.models import biencoder, checksums, graph_file, manifest
from rag_embedder.models.atomic_directory import atomic_directory
from rag_embedder.models.manifest import Manifest

# The fusions of onnxruntime.transformers are written for the operators of this opset.
_OPSET = 17
_LIBRARIES = ("onnx", "onnxruntime", "sentence-transformers", "torch", "transformers")


class BiEncoder(nn.Module):
    """Maps (input_ids, attention_mask), both int64 [n, tokens], to float32 [n, dims] of unit length."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.pooling = biencoder.pooling(model)
        self.encoder = biencoder.encoder(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            return nn.functional.normalize(states[:, 0], dim=-1)
        # Normalisation keeps the direction alone, which is the same for the sum as for the mean.
        total = (states * attention_mask.unsqueeze(-1).to(states.dtype)).sum(1)
        return nn.functional.normalize(total, dim=-1)

    def quantise_words(self) -> None:
        """Quantise the word table, most of a multilingual model, to int8."""
        table = self.encoder.get_input_embeddings()
        if type(table) is nn.Embedding:
            self.encoder.set_input_embeddings(_RowQuantised(table))


class _RowQuantised(nn.Module):
    """An embedding table in int8 with one scale per row; errors are under 1/254 of a row's maximum."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))

    def forward(self, input_ids: Tensor) -> Tensor:
        rows = nn.functional.embedding(input_ids, self.get_buffer("rows"))
        scale = nn.functional.embedding(input_ids, self.get_buffer("scale"))
        return rows.to(torch.float32) * scale


def write(module: BiEncoder, path: Path) -> None:
    """Trace `module` into `path`, with dynamic batch and token dimensions."""
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        # torch warns about each traced shape and that this exporter is deprecated.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
        )


def export(
    source: Path | str, target: Path, precision: Literal["int8", "fp32"], *, cached: bool = False
) -> Manifest:
    """Write the graph, its weights, the tokenizer and the manifest to `target`, unless it exists.

    `source` is a hub name or a directory; with `cached` only the local cache is used. `target` is
    created atomically and readable by all users. Raises biencoder.UnsupportedModelError if the model
    is not a plain bi-encoder.
    """
    if target.exists():
        return manifest.read(target)
    model = biencoder.load(source, attention="eager", cached=cached)
    described = biencoder.manifest(model, source, precision, "onnx")
    described = replace(described, exporter={name: version(name) for name in _LIBRARIES})
    module = BiEncoder(model)
    if precision == "int8":
        module.quantise_words()
    with atomic_directory(target) as directory:
        _write_graph(module, directory / "model.onnx", quantised=precision == "int8")
        biencoder.tokenizer(model).save(str(directory / "tokenizer.json"))
        manifest.write(described, directory)
        checksums.write(directory)
    return described


def _write_graph(module: BiEncoder, path: Path, quantised: bool) -> None:
    write(module, path)
    _fuse(path, module.encoder.config)
    if quantised:
        _quantise(path)
    graph_file.save(onnx.load(path), path.parent)


def _fuse(path: Path, config: PretrainedConfig) -> None:
    """Fuse attention and GELU into single operators; other nodes stay unchanged."""
    options = FusionOptions("bert")
    # Slower on CPUs than separate Add and LayerNormalization; and it does not support an int8 table.
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_embed_layer_norm = False
    fused = optimize_model(
        str(path),
        model_type="bert",
        num_heads=getattr(config, "num_attention_heads", 0),
        hidden_size=getattr(config, "hidden_size", 0),
        optimization_options=options,
        opt_level=0,
    )
    fused.save_model_to_file(str(path))


def _quantise(path: Path) -> None:
    """Quantise weights to int8 with one scale per column, and activations dynamically."""
    quantize_dynamic(
        path,
        path,
        op_types_to_quantize=["MatMul", "Attention"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Only products with weights; types after a fused operator are not inferred.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )
