"""Runtimes: ONNX Runtime, PyTorch, tokenizers and the Kiwi analyzer."""
