"""A server that speaks Vault's KV version 2 and AppRole, with faults that a test sets."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stand(ThreadingHTTPServer):
    """A KV engine with one static token and one AppRole, whose tokens live until they are revoked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, Any] = {
            "database": {"password": "nested-password"},
            "redis.password": "dotted-password",
            "jwt_secret": "j" * 32,
            "grpc_credentials": "vault-credentials",
        }
        self.version = 1
        self.sealed = 0
        self.tokens = {"the-token"}
        self.logins = 0
        self.renewed = 0
        self.revoked: list[str] = []
        self.revocation_status = 204

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stand

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def _answer(self, status: int, body: object = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refused(self) -> bool:
        if self.server.sealed:
            self.server.sealed -= 1
            self._answer(503, {"errors": ["Vault is sealed"]})
        elif self.headers["X-Vault-Token"] not in self.server.tokens:
            self._answer(403, {"errors": ["permission denied"]})
        else:
            return False
        return True

    def do_POST(self) -> None:
        """Log in by AppRole, renew or revoke the caller's token."""
        stand = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/v1/auth/approle/login":
            if stand.sealed:
                stand.sealed -= 1
                self._answer(503, {"errors": ["Vault is sealed"]})
            elif json.loads(body) == {"role_id": "role", "secret_id": "secret"}:
                stand.logins += 1
                stand.tokens.add(f"role-{stand.logins}")
                self._answer(200, {"auth": {"client_token": f"role-{stand.logins}"}})
            else:
                self._answer(400, {"errors": ["invalid role or secret ID"]})
        elif self._refused():
            return
        elif self.path == "/v1/auth/token/renew-self":
            stand.renewed += 1
            self._answer(200, {"auth": {"client_token": self.headers["X-Vault-Token"]}})
        elif self.path == "/v1/auth/token/revoke-self" and stand.revocation_status != 204:
            self._answer(stand.revocation_status, {"errors": ["no"]})
        elif self.path == "/v1/auth/token/revoke-self":
            stand.tokens.discard(self.headers["X-Vault-Token"])
            stand.revoked.append(self.headers["X-Vault-Token"])
            self._answer(204)

    do_PUT = do_POST

    def do_GET(self) -> None:
        """Return the secret."""
        if self._refused():
            return
        if self.path.split("?")[0] == "/v1/secret/data/shopfc":
            stand = self.server
            self._answer(200, {"data": {"data": stand.secrets, "metadata": {"version": stand.version}}})
        else:
            self._answer(404, {"errors": []})
