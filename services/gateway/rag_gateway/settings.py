"""What the gateway can be told, by variables that begin with GATEWAY_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds, ServiceSettings, folder


class Settings(ServiceSettings):
    """The gateway's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    port: Port = Field(50051, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(50061, description="Plaintext port of health alone, for probes.")
    embedder_target: str = Field("127.0.0.1:50052", description="Where the embedder answers.")
    retriever_target: str = Field("127.0.0.1:50053", description="Where the retriever answers.")
    generator_target: str = Field("127.0.0.1:50054", description="Where the generator answers.")
    embed_timeout: Seconds = Field(10, description="Most seconds for embedding a query.")
    search_timeout: Seconds = Field(5, description="Most seconds for a search of the index.")
    rerank_timeout: Seconds = Field(10, description="Most seconds for reranking.")
    generate_timeout: Seconds = Field(120, description="Most seconds for writing an answer.")
    ingest_timeout: Seconds = Field(280, description="Most seconds for taking in a document.")
    jwks: str = Field(
        default_factory=lambda: str(folder("keys") / "jwks.json"),
        description="Public keys that tokens are checked with: a file, or an http(s) URL.",
    )
    jwks_max_age: Seconds = Field(300, description="Seconds after which keys are read again.")
    issuer: str = Field("rag-dev", min_length=1, description="Issuer that tokens must name.")
    audience: str = Field("rag", min_length=1, description="Audience that tokens must name.")
    clock_leeway: float = Field(
        30, ge=0, le=120, description="Seconds by which clocks of issuer and gateway may differ."
    )
    index: str = Field("passages", description="Index that is made when there is none yet.")
    document_bytes: int = Field(
        2**20, ge=1024, le=2**24, description="Largest document in one message."
    )
    upload_bytes: int = Field(
        64 * 2**20, ge=2**20, le=2**30, description="Largest document as a stream."
    )
    ingest_slots: int = Field(
        8, ge=1, le=256, description="Documents taken in at once; more wait for their turn."
    )
    heartbeat: Seconds = Field(15, description="Seconds of silence after which a stream says so.")
