"""The common settings of all services: typed, from environment variables, rejecting unknown ones."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from dotenv import dotenv_values
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=3600)]
Port = Annotated[int, Field(ge=0, le=65535)]
_Model = TypeVar("_Model")


class SettingsInvalid(Exception):
    """A setting is unknown or invalid; the message is one sentence that names it."""


class ServiceSettings(BaseSettings):
    """The settings of every service. A subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: Port = Field(0, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(
        0,
        description="Plaintext port of the health service only, for probes without TLS; 0 takes a free one.",
    )
    http_port: Port = Field(
        0,
        description="Plaintext HTTP port of /health/live and /health/ready; 0 takes a free one.",
    )
    tls: str = Field(
        "off",
        pattern="^(off|files|vault)$",
        description="Source of the certificate for mutual TLS: files, vault, or off for plaintext, "
        "which is limited to loopback unless PLAINTEXT is true.",
    )
    tls_dir: Path = Field(
        Path("/tls"), description="Folder of tls.crt, tls.key and ca.crt, read again on change."
    )
    tls_reload: Seconds = Field(
        10, description="Seconds between reads of the certificate's folder."
    )
    tls_trust_domain: str = Field(
        "rag-platform",
        pattern=r"^[a-z0-9._-]{1,255}$",
        description="Trust domain of the SPIFFE IDs by which services identify each other.",
    )
    plaintext: bool = Field(
        False,
        description="Whether to accept plaintext calls from other machines: only if a mesh encrypts them.",
    )
    reflection: bool = Field(True, description="Whether gRPC reflection is enabled, for grpcurl.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Minimum level that is logged."
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|console)$",
        description="json, console, or auto: console on a terminal and json elsewhere.",
    )
    default_deadline: Seconds = Field(30, description="Deadline in seconds of a call without one.")
    max_deadline: Seconds = Field(300, description="Maximum deadline of a call in seconds.")
    min_budget: Annotated[float, Field(ge=0, le=10)] = Field(
        0.02, description="A call with fewer seconds left before its deadline is refused at once."
    )
    short_deadline: Annotated[float, Field(ge=0, le=60)] = Field(
        0.1,
        description="Seconds that a call to a healthy service needs, somewhat more than a search's p99: "
        "a call with a shorter deadline that exceeds it does not count against availability. Values "
        "under MIN_BUDGET, with which calls are refused at once, have the effect of MIN_BUDGET.",
    )
    drain_delay: Annotated[float, Field(ge=0, le=300)] = Field(
        0.5,
        description="Seconds between reporting NOT_SERVING and refusing new calls; longer than the load "
        "balancer needs to notice, so 5 or more in a cluster.",
    )
    grace: Seconds = Field(20, description="Seconds that running calls have to finish at shutdown.")
    max_message_bytes: int = Field(
        16 * 2**20, ge=2**16, le=2**30, description="Maximum size of a message, received or sent."
    )
    max_in_flight: int = Field(
        1024,
        ge=1,
        le=100_000,
        description="Maximum concurrent calls; more are refused with a retry delay.",
    )
    max_connection_age: Seconds = Field(
        1800,
        description="Seconds after which a connection is closed, so that new replicas get calls.",
    )
    health_interval: Seconds = Field(2, description="Seconds between runs of the health checks.")
    region: str = Field("", max_length=64, description="Region, for replies and telemetry.")

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment variables, and as their defaults the file that RAG_ENV_FILE names.

        `overrides` have precedence over both. Raises SettingsInvalid for an unknown variable with this
        service's prefix, for an invalid value, and if RAG_ENV_FILE does not exist.
        """
        own = cls._own({**_file(), **os.environ})
        unknown = sorted(name for name in own if name not in cls.model_fields)
        if unknown:
            raise SettingsInvalid(
                f"{cls._variable(unknown[0])} is not a setting; see docs/settings.md"
            )
        try:
            return cls(**{**own, **overrides})
        except ValidationError as error:
            raise SettingsInvalid(cls._sentence(error.errors()[0])) from error

    @classmethod
    def _own(cls, variables: Mapping[str, str | None]) -> dict[str, str]:
        """The values of the variables with this service's prefix, by setting; empty is unset."""
        prefix = cls.model_config["env_prefix"]
        return {
            name.removeprefix(prefix).lower(): value
            for name, value in variables.items()
            if name.startswith(prefix) and value
        }

    @classmethod
    def _sentence(cls, error: ErrorDetails) -> str:
        message = _message(error)
        # The message of a validator of several settings names them itself.
        if not error["loc"]:
            return message
        return f"{cls._variable(str(error['loc'][0]))} is invalid: {message}"

    @classmethod
    def _variable(cls, name: str) -> str:
        return cls.model_config["env_prefix"] + name.upper()


def _file() -> dict[str, str | None]:
    path = os.environ.get("RAG_ENV_FILE", "")
    if path and not Path(path).is_file():
        raise SettingsInvalid(f"RAG_ENV_FILE {path} is not a file")
    return dotenv_values(path) if path else {}


def read_toml(path: Path, model: type[_Model]) -> _Model:
    """The content of a TOML file as a pydantic model, or as a dataclass that configures pydantic.

    Raises SettingsInvalid, which names the file and the first invalid key, also if it cannot be read.
    """
    try:
        return TypeAdapter(model).validate_python(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        sentence = ": ".join(filter(None, (_key(first["loc"]), _message(first))))
        raise SettingsInvalid(f"{path} is invalid: {sentence}") from error
    except ValueError as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}") from error


def _key(location: tuple[int | str, ...]) -> str:
    """The path of a key, such as `issuers[0].tenant`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _message(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def data_folder(default: str) -> Path:
    """A subfolder of the data folder: RAG_HOME, or `.rag` in the working directory."""
    return Path(os.environ.get("RAG_HOME", ".rag")) / default
