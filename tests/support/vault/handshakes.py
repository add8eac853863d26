"""Mutual TLS between two certificates, in memory."""

import ssl
from pathlib import Path

from rag_common.security.certificates import Certificate


def shake_hands(server: Certificate, client: Certificate, name: str, folder: Path) -> None:
    """A handshake in which each side checks the other by its own roots. Raises ssl.SSLError."""
    accepting = _context(ssl.PROTOCOL_TLS_SERVER, server, folder)
    accepting.verify_mode = ssl.CERT_REQUIRED
    calling = _context(ssl.PROTOCOL_TLS_CLIENT, client, folder)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        calling.wrap_bio(to_client, to_server, server_hostname=name),
        accepting.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(sides)
    for side in sides * 4:
        if side in waiting:
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    # What the server thinks of the client's certificate shows after the client is done.
    sides[1].write(b"welcome")
    assert sides[0].read() == b"welcome"


def _context(protocol: int, certificate: Certificate, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    (folder / "chain.pem").write_bytes(certificate.chain)
    (folder / "key.pem").write_bytes(certificate.key)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    context.load_verify_locations(cadata=certificate.roots.decode())
    return context
