"""Certificates and a token from Vault for an operator at a shell, and a certificate for the edge."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from rag_common.security.certificates import Certificate
from rag_common.vault.certificates import CertificateNames
from rag_common.vault.client import Vault, open_vault
from rag_common.vault.settings import VaultOptions
from rag_local.backends.vault import LocalVault
from rag_local.backends.vault_server import write_private
from rag_local.backends.vault_setup import OPERATOR, TOKEN_KEY, Setup

EDGE = "edge"
_SECONDS = 12 * 3600.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Operator:
    """A folder with tls.crt, tls.key and ca.crt, and a token of the tenant `demo`; valid for 12 hours."""

    folder: Path

    @property
    def token(self) -> Path:
        """The file of the token."""
        return self.folder / "rag-token"

    def settings(self, target: str) -> dict[str, str]:
        """Environment variables with which `rag` calls the gateway at `target` with this certificate."""
        return {
            "RAG_TARGET": target,
            "RAG_TOKEN_FILE": str(self.token),
            "RAG_CA_FILE": str(self.folder / "ca.crt"),
            "RAG_CERT_FILE": str(self.folder / "tls.crt"),
            "RAG_KEY_FILE": str(self.folder / "tls.key"),
        }


def issue_operator_credentials(
    vault: LocalVault, folder: Path, *, issuer: str, audience: str
) -> Operator:
    """Create both with the operator's token in Vault. Raises SettingsInvalid, Unavailable."""
    operator = Operator(folder.resolve())
    options = VaultOptions(
        vault.address, "token", ca_file=vault.ca_file, token_file=vault.operator_token()
    )
    certificate, token = asyncio.run(_operator_credentials(options, issuer, audience))
    _write_certificate(certificate, folder)
    write_private(operator.token, token)
    return operator


def issue_edge_certificate(vault: LocalVault, folder: Path) -> None:
    """Write the edge's client certificate for the gateway into the folder; it is valid for a day."""
    credentials = vault.credentials(EDGE)
    options = VaultOptions(
        vault.address,
        "approle",
        EDGE,
        ca_file=vault.ca_file,
        role_id_file=credentials / "role_id",
        secret_id_file=credentials / "secret_id",
    )
    _write_certificate(asyncio.run(_edge_certificate(options)), folder)


def _write_certificate(certificate: Certificate, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "tls.key", certificate.key.decode())
    (folder / "tls.crt").write_bytes(certificate.chain)
    (folder / "ca.crt").write_bytes(certificate.roots)


async def _operator_credentials(
    options: VaultOptions, issuer: str, audience: str
) -> tuple[Certificate, str]:
    async with open_vault(options) as opened:
        certificate = await _certificate(opened, OPERATOR, _SECONDS)
        return certificate, await _token(opened, issuer, audience)


async def _edge_certificate(options: VaultOptions) -> Certificate:
    async with open_vault(options) as opened:
        return await _certificate(opened, EDGE, _DAY)


async def _certificate(vault: Vault, role: str, seconds: float) -> Certificate:
    names = CertificateNames.of(role, Setup().trust_domain, (role,))
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
