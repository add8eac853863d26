"""Language models behind any OpenAI-compatible server: vLLM, TGI, llama-server or a vendor's."""

from rag_generator.llm.openai.server import OpenAIModel, OpenAIServer

__all__ = ["OpenAIModel", "OpenAIServer"]
