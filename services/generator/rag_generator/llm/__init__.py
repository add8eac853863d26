"""Language models: prompts, an OpenAI-compatible server, llama.cpp."""
