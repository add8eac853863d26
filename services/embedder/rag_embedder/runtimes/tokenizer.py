"""Tokenisation for all runtimes, with the tokenizers library."""

from collections.abc import Sequence

from tokenizers import Encoding, Tokenizer

from rag_embedder.embedding.tokens import Tokens


class TextTokenizer:
    """Texts to token ids, truncated to `max_tokens`; safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._special = tokenizer.num_special_tokens_to_add(False)
        self._room = max_tokens - self._special

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """The token ids of each text, special ones included; the caller adds prompts."""
        if len(texts) == 1:
            return [self._tokens(self._tokenizer.encode(texts[0], add_special_tokens=False))]
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [self._tokens(encoding) for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """The string of each token id, special ones included."""
        return [self._tokenizer.id_to_token(number) or "" for number in ids]

    def _tokens(self, encoding: Encoding) -> Tokens:
        total = len(encoding) + self._special
        if len(encoding) > self._room:
            encoding.truncate(self._room)
        return Tokens(self._tokenizer.post_process(encoding).ids, total)
