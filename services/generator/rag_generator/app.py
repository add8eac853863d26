"""Puts the generator together: the only place that names its backends."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from rag.generator.v1 import generator_service_pb2_grpc as grpc_stubs
from rag_common import logs, telemetry, tracing
from rag_common.rpc.server import Ports, Service, serving
from rag_common.settings import SettingsInvalid
from rag_common.trust import Trust, trusted
from rag_generator.callers import CALLERS
from rag_generator.circuit import Circuit, Guarded
from rag_generator.core import Backend, Generator
from rag_generator.fallback import Fallback
from rag_generator.instruments import Instruments
from rag_generator.observed import Extracting, Observed
from rag_generator.prompt import Template
from rag_generator.prompted import LanguageModel, Prompted
from rag_generator.quoting import Quoting
from rag_generator.servicer import GeneratorServicer
from rag_generator.settings import Settings

SERVICE = "rag.generator.v1.GeneratorService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the extractive backend, and every model that is configured."""
    logs.configure("generator", settings.log_level, settings.log_format)
    told = telemetry.configure("generator", version("rag-platform"), settings.region)
    instruments = Instruments(told.metrics)
    async with AsyncExitStack() as stack:
        stack.callback(told.close)
        trust = await stack.enter_async_context(trusted(settings, "generator", told.metrics))
        trust.measure(told.metrics)
        models = [
            *await _openai(stack, settings, trust, instruments),
            *await _llama(stack, settings, instruments),
        ]
        guarded = [Guarded(model, Circuit()) for model in models] if settings.fallback else []
        backends = _backends(settings, guarded or models, instruments)
        if settings.default_model not in backends:
            raise SettingsInvalid(
                f"GENERATOR_DEFAULT_MODEL {settings.default_model} is not among {', '.join(backends)}"
            )
        generator = Generator(backends, settings.default_model, settings.most_output_tokens)
        service = Service(
            SERVICE,
            grpc_stubs.add_GeneratorServiceServicer_to_server,
            GeneratorServicer(generator),
        )
        served = serving(
            [service],
            settings,
            told,
            wants={**trust.wants, **{f"model:{one.info.name}": one.ready for one in guarded}},
            guard=trust.guard(CALLERS),
        )
        yield await stack.enter_async_context(served)


def _backends(
    settings: Settings, models: Sequence[LanguageModel], instruments: Instruments
) -> dict[str, Backend]:
    """Backends by name; with the fallback each language model's has the extractive one behind it."""
    template, quoting = Template(), Observed(Extracting(Quoting()), instruments)
    backends: dict[str, Backend] = {quoting.info.name: quoting}
    for model in models:
        name = model.info.name
        prompted = Prompted(model, template, interval=settings.delta_interval)
        observed = Observed(prompted, instruments)
        backends[name] = (
            Fallback(observed, quoting, _falls(name, instruments))
            if settings.fallback
            else observed
        )
    return backends


def _falls(model: str, instruments: Instruments) -> Callable[[], None]:
    fallbacks = instruments.fallbacks.labels(model)

    def fell() -> None:
        fallbacks.inc()
        tracing.current().event("fallback", {"gen_ai.request.model": model})

    return fell


async def _openai(
    stack: AsyncExitStack, settings: Settings, trust: Trust, instruments: Instruments
) -> list[LanguageModel]:
    if not settings.openai_url:
        return []
    from rag_generator.adapters.openai import OpenAIServer

    server = await stack.enter_async_context(
        OpenAIServer(
            settings.openai_url,
            await trust.secret(settings.openai_api_key, "GENERATOR_OPENAI_API_KEY"),
            connect_timeout=settings.openai_connect_timeout,
            first_token_timeout=settings.openai_first_token_timeout,
            silence_timeout=settings.openai_silence_timeout,
            retries=settings.openai_retries,
            instruments=instruments,
        )
    )
    names = [name.strip() for name in settings.openai_models.split(",") if name.strip()]
    return [server.model(name, settings.openai_context_tokens) for name in names]


async def _llama(
    stack: AsyncExitStack, settings: Settings, instruments: Instruments
) -> list[LanguageModel]:
    if not settings.llama_model:
        return []
    if not settings.llama_model.is_file():
        raise SettingsInvalid(f"GENERATOR_LLAMA_MODEL {settings.llama_model} is not a file")
    from rag_generator.adapters.llama import LlamaModel

    model = LlamaModel(
        settings.llama_model,
        settings.llama_name,
        context_tokens=settings.llama_context_tokens,
        threads=settings.llama_threads,
        parallel=settings.llama_parallel,
        instruments=instruments,
    )
    return [await stack.enter_async_context(model)]
