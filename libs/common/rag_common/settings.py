"""Settings that every service has, and how they are read: typed, from the environment, refusing the unknown."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=3600)]
Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsInvalid(Exception):
    """A setting is unknown or unfit; the message is one sentence that names it."""


class ServiceSettings(BaseSettings):
    """What every service can be told. A subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: Port = Field(0, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(
        0,
        description="Plaintext port of health alone, for probes that speak no TLS; 0 takes a free one.",
    )
    http_port: Port = Field(
        0,
        description="Plaintext HTTP port of /health/live and /health/ready; 0 takes a free one.",
    )
    tls: str = Field(
        "off",
        pattern="^(off|files|vault)$",
        description="Where the certificate for mutual TLS comes from: files, vault, or off for "
        "plaintext, which only loopback gets unless PLAINTEXT is true.",
    )
    tls_dir: Path = Field(
        Path("/tls"), description="Folder of tls.crt, tls.key and ca.crt, read again on change."
    )
    tls_reload: Seconds = Field(
        10, description="Seconds between looks at the folder of the certificate."
    )
    tls_trust_domain: str = Field(
        "rag-platform",
        pattern=r"^[a-z0-9._-]{1,255}$",
        description="Trust domain of the SPIFFE IDs by which services know each other.",
    )
    plaintext: bool = Field(
        False,
        description="Whether calls may come in plaintext from other machines: only where a mesh "
        "encrypts them.",
    )
    reflection: bool = Field(True, description="Whether grpcurl may ask which methods there are.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least level that is logged."
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|console)$",
        description="json, console, or auto: console on a terminal and json elsewhere.",
    )
    default_deadline: Seconds = Field(
        30, description="Seconds for a call whose caller gave no deadline."
    )
    max_deadline: Seconds = Field(
        300, description="Most seconds for a call, whatever its caller gave."
    )
    min_budget: Annotated[float, Field(ge=0, le=10)] = Field(
        0.02, description="A call with fewer seconds left than this is refused before any work."
    )
    drain_delay: Annotated[float, Field(ge=0, le=300)] = Field(
        0.5,
        description="Seconds between saying NOT_SERVING and refusing new calls; longer than the "
        "balancer needs to notice, so 5 or more in a cluster.",
    )
    grace: Seconds = Field(20, description="Seconds that calls in flight get to end when stopping.")
    max_message_bytes: int = Field(
        16 * 2**20, ge=2**16, le=2**30, description="Largest message taken or sent."
    )
    max_in_flight: int = Field(
        1024,
        ge=1,
        le=100_000,
        description="Calls served at once; more are refused with a hint when.",
    )
    max_connection_age: Seconds = Field(
        1800,
        description="Seconds after which a connection is renewed, so that new replicas get calls.",
    )
    health_interval: Seconds = Field(
        2, description="Seconds between polls of what this service needs."
    )
    region: str = Field("", max_length=64, description="Region that replies and telemetry name.")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment, and below it the file that RAG_ENV_FILE names.

        Raises SettingsInvalid for a variable with this service's prefix that no setting has, for an
        unfit value, and where there is no such file.
        """
        own = cls._own({**_file(), **os.environ})
        unknown = sorted(name for name in own if name not in cls.model_fields)
        if unknown:
            raise SettingsInvalid(
                f"{cls._variable(unknown[0])} is not a setting; see docs/settings.md"
            )
        try:
            return cls(**{**own, **given})
        except ValidationError as error:
            raise SettingsInvalid(cls._sentence(error.errors()[0])) from error

    @classmethod
    def _own(cls, variables: Mapping[str, str | None]) -> dict[str, str]:
        """Values by setting, of the variables that begin with this service's prefix; empty is unset."""
        prefix = cls.model_config["env_prefix"]
        return {
            name.removeprefix(prefix).lower(): value
            for name, value in variables.items()
            if name.startswith(prefix) and value
        }

    @classmethod
    def _sentence(cls, error: ErrorDetails) -> str:
        told = error["msg"].removeprefix("Value error, ")
        # A rule about several settings belongs to none of them, and names them itself.
        return f"{cls._variable(str(error['loc'][0]))} is unfit: {told}" if error["loc"] else told

    @classmethod
    def _variable(cls, name: str) -> str:
        return cls.model_config["env_prefix"] + name.upper()


def _file() -> dict[str, str | None]:
    path = os.environ.get("RAG_ENV_FILE", "")
    if path and not Path(path).is_file():
        raise SettingsInvalid(f"RAG_ENV_FILE {path} is not a file")
    return dotenv_values(path) if path else {}


def folder(default: str) -> Path:
    """A default folder below the one for data: RAG_HOME, or `.rag` in the working directory."""
    return Path(os.environ.get("RAG_HOME", ".rag")) / default


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
