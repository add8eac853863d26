"""Certificates and a token from Vault for those that are no service: a person at a shell, and the edge."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from rag_common.certificates import Certificate
from rag_common.vault.access import Vault, open_vault
from rag_common.vault.options import VaultOptions
from rag_common.vault.request import Names
from rag_local.vault import LocalVault
from rag_local.vault_server import write_private
from rag_local.vault_setup import OPERATOR, TOKEN_KEY, Setup

EDGE = "edge"
_SECONDS = 12 * 3600.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Operator:
    """A folder with tls.crt, tls.key and ca.crt, and a token of the tenant `demo`; good for 12 hours."""

    folder: Path

    @property
    def token(self) -> Path:
        """The file of the token."""
        return self.folder / "rag-token"

    def settings(self, target: str) -> dict[str, str]:
        """What tells `rag` to call the gateway itself, at `target`, with this certificate."""
        return {
            "RAG_TARGET": target,
            "RAG_TOKEN_FILE": str(self.token),
            "RAG_CA_FILE": str(self.folder / "ca.crt"),
            "RAG_CERT_FILE": str(self.folder / "tls.crt"),
            "RAG_KEY_FILE": str(self.folder / "tls.key"),
        }


def operator(vault: LocalVault, folder: Path, *, issuer: str, audience: str) -> Operator:
    """Make both, as the operator's own token in Vault allows. Raises SettingsInvalid, Unavailable."""
    made = Operator(folder.resolve())
    options = VaultOptions(
        vault.address, "token", ca_file=vault.ca_file, token_file=vault.operator_token()
    )
    certificate, token = asyncio.run(_person(options, issuer, audience))
    _place(certificate, folder)
    write_private(made.token, token)
    return made


def edge_identity(vault: LocalVault, folder: Path) -> None:
    """Put the certificate by which the gateway knows the edge into the folder; it is good for a day."""
    given = vault.credentials(EDGE)
    options = VaultOptions(
        vault.address,
        "approle",
        EDGE,
        ca_file=vault.ca_file,
        role_id_file=given / "role_id",
        secret_id_file=given / "secret_id",
    )
    _place(asyncio.run(_edge(options)), folder)


def _place(certificate: Certificate, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "tls.key", certificate.key.decode())
    (folder / "tls.crt").write_bytes(certificate.chain)
    (folder / "ca.crt").write_bytes(certificate.roots)


async def _person(options: VaultOptions, issuer: str, audience: str) -> tuple[Certificate, str]:
    async with open_vault(options) as opened:
        certificate = await _certificate(opened, OPERATOR, _SECONDS)
        return certificate, await _token(opened, issuer, audience)


async def _edge(options: VaultOptions) -> Certificate:
    async with open_vault(options) as opened:
        return await _certificate(opened, EDGE, _DAY)


async def _certificate(vault: Vault, role: str, seconds: float) -> Certificate:
    names = Names.of(role, Setup().trust_domain, (role,))
    return (await vault.certificates(role, names, seconds)).current()


async def _token(vault: Vault, issuer: str, audience: str) -> str:
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": OPERATOR,
        "tenant": "demo",
        "scope": "search answer ingest admin",
        "iat": now,
        "exp": now + int(_SECONDS),
        "jti": f"{OPERATOR}-{now}",
    }
    return await (await vault.signer(TOKEN_KEY)).sign(claims)
