"""Wiring of the generator: the only module that selects its backends."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec

from rag.generator.v1 import generator_service_pb2_grpc as grpc_stubs
from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.ports import ServerSecurity
from rag_common.identity import ServiceIdentity
from rag_common.service_context import service_context
from rag_common.settings import SettingsInvalid
from rag_generator.answering.extractive_answering import ExtractiveAnswering
from rag_generator.answering.instrumented_recorder import InstrumentedRecorder
from rag_generator.answering.llm_answering import LlmAnswering
from rag_generator.answering.service import Backend, Generator
from rag_generator.api.callers import CALLERS
from rag_generator.api.servicer import GeneratorServicer
from rag_generator.llm.circuit import CircuitBreaker, ModelGuard
from rag_generator.llm.model import LanguageModel
from rag_generator.llm.prompt import Template
from rag_generator.settings import Settings
from rag_generator.telemetry.metrics import GeneratorMetrics

SERVICE = "rag.generator.v1.GeneratorService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the extractive backend and all configured language models."""
    async with service_context(settings, "generator") as context:
        stack, identity = context.stack, context.identity
        instruments = GeneratorMetrics(context.metrics)
        models = [
            *await _openai(stack, settings, identity, instruments),
            *await _llama(stack, settings, instruments),
        ]
        guards = {
            model.info.name: ModelGuard(model, CircuitBreaker())
            for model in models
            if settings.fallback
        }
        backends = _backends(settings, models, guards, instruments)
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
            context.telemetry,
            optional_checks={
                **identity.optional_checks,
                **{f"model:{name}": guard.ready for name, guard in guards.items()},
            },
            security=ServerSecurity(certificates=identity.certificates, callers=CALLERS),
        )
        yield await stack.enter_async_context(served)


def _backends(
    settings: Settings,
    models: Sequence[LanguageModel],
    guards: Mapping[str, ModelGuard],
    instruments: GeneratorMetrics,
) -> dict[str, Backend]:
    """Backends by model name; the extractive one backs up each language model that has a guard."""
    template = Template()
    recorder = InstrumentedRecorder(instruments)
    extractive = ExtractiveAnswering(recorder)
    backends: dict[str, Backend] = {extractive.info.name: extractive}
    for model in models:
        name = model.info.name
        answering = partial(
            LlmAnswering, model, template, interval=settings.delta_interval, recorder=recorder
        )
        if name in guards:
            recorder.register(name)
            backends[name] = answering(guard=guards[name].call, fallback=extractive)
        else:
            backends[name] = answering()
    return backends


async def _openai(
    stack: AsyncExitStack,
    settings: Settings,
    identity: ServiceIdentity,
    instruments: GeneratorMetrics,
) -> list[LanguageModel]:
    if not settings.openai_url:
        return []
    from rag_generator.llm.openai import OpenAIServer

    server = await stack.enter_async_context(
        OpenAIServer(
            settings.openai_url,
            await identity.secret(settings.openai_api_key, "GENERATOR_OPENAI_API_KEY"),
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
    stack: AsyncExitStack, settings: Settings, instruments: GeneratorMetrics
) -> list[LanguageModel]:
    if not settings.llama_model:
        return []
    if not settings.llama_model.is_file():
        raise SettingsInvalid(f"GENERATOR_LLAMA_MODEL {settings.llama_model} is not a file")
    if find_spec("xllamacpp") is None:
        raise SettingsInvalid(
            "GENERATOR_LLAMA_MODEL needs xllamacpp, which is not installed: pip install 'rag-platform[llama]'"
        )
    from rag_generator.llm.llama import LlamaModel

    model = LlamaModel(
        settings.llama_model,
        settings.llama_name,
        context_tokens=settings.llama_context_tokens,
        threads=settings.llama_threads,
        parallel=settings.llama_parallel,
        instruments=instruments,
    )
    return [await stack.enter_async_context(model)]
