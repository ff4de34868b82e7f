"""Certificates for tests: an authority, and files to name in settings."""

import ssl
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from servers.base import Tls


class Certificates:
    """An authority of its own with the certificate of one server (or client) and its key, as PEM files in `folder`."""

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True)
        self.authority = trustme.CA()
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)
        self.cert, self.key = self.issue(folder / "own", *names)

    def issue(self, folder: Path, *names: str) -> tuple[str, str]:
        """Sign one more certificate for these host names and return its file and that of its key."""
        folder.mkdir()
        cert, key = folder / "cert.pem", folder / "key.pem"
        issued = self.authority.issue_cert(*names)
        issued.cert_chain_pems[0].write_to_path(str(cert))
        # Kafka reads PKCS #8 only.
        loaded = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key.write_bytes(loaded.private_bytes(*encoding))
        # A server refuses a key that others may read.
        key.chmod(0o600)
        return str(cert), str(key)

    @property
    def tls(self) -> Tls:
        """The files of a server."""
        return Tls(self.cert, self.key, self.ca)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        return context
