"""The services of the platform, by name, with their settings classes."""

from rag_common.settings import ServiceSettings
from rag_embedder.settings import Settings as EmbedderSettings
from rag_gateway.settings import Settings as GatewaySettings
from rag_generator.settings import Settings as GeneratorSettings
from rag_ingestor.settings import Settings as IngestorSettings
from rag_retriever.settings import Settings as RetrieverSettings

SERVICES: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "embedder": EmbedderSettings,
    "retriever": RetrieverSettings,
    "generator": GeneratorSettings,
    "ingestor": IngestorSettings,
}
