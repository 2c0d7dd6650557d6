"""An identity provider to sign in at, as a process of its own: strict about what a client must send, and wrong on demand.

`python -m tests.oidc_provider` prints its issuer. POST /next takes JSON: the claims of the next token, and what is wrong with it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "campana", "client secret: with signs"


class Provider:
    """What the provider knows: its key, the codes it gave, and what to say next."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.codes: dict[str, dict[str, str]] = {}
        self.next: dict[str, Any] = {}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes on to; the person is signed in at once."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert len(asked["state"]) > 30
        code = secrets.token_hex(16)
        self.codes[code] = asked
        given = {"error": "access_denied"} if self.next.get("denies") else {"code": code}
        return asked["redirect_uri"] + "?" + urlencode({**given, "state": asked["state"]})

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The ID token of a code, given once to who began."""
        user, _, password = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "the code is not yours"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce: str) -> str:
        """The token, as wrong as asked for."""
        now = self.next.get("now", int(time.time()))
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "user-1", "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= {"email": "editor@example.com", "email_verified": True, "name": "Edi"} | self.next.get("claims", {})
        wrong = self.next.get("wrong")
        if wrong == "unsigned":
            parts = (json.dumps({"alg": "none"}), json.dumps(claims))
            return ".".join(urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + "."
        if wrong == "by_secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])
        key = RSAKey.generate_key(2048, {"kid": self.key.kid}) if wrong == "key" else self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, key)


PROVIDER = Provider()


class Handler(BaseHTTPRequestHandler):
    """The provider's addresses."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            self.say(200, {"issuer": PROVIDER.issuer, **{name: f"{PROVIDER.issuer}/{at}" for name, at in names.items()}})
        elif asked.path == "/keys":
            self.say(200, {"keys": [PROVIDER.key.as_dict(private=False)]})
        elif asked.path == "/authorize":
            self.send_response(302)
            self.send_header("location", PROVIDER.authorize(dict(parse_qsl(asked.query))))
            self.end_headers()
        else:
            self.say(404, {"error": "nothing here"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/next":
            PROVIDER.next = json.loads(body)
            if PROVIDER.next.get("new_key"):
                PROVIDER.key = RSAKey.generate_key(2048, {"kid": "two"})
            self.say(200, {})
        else:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.say(*PROVIDER.token(form, self.headers.get("authorization", "")))

    def say(self, code: int, facts: dict[str, Any]) -> None:
        """One answer in JSON."""
        body = json.dumps(facts).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: stdout is for the address."""


def main() -> None:
    """Serves on a free port until it is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    PROVIDER.issuer = f"http://127.0.0.1:{server.server_port}"
    print(PROVIDER.issuer, flush=True)  # noqa: T201 - whoever started it reads it
    server.serve_forever()


if __name__ == "__main__":
    main()
