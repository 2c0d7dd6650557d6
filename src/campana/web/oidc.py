"""Sign-in at an OpenID Connect provider: the authorization code flow with PKCE, and every check of what comes back."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from campana.clock import Clock, boottime
from campana.core.durations import MINUTE, SECOND
from campana.core.exchange import Request, Response

PATIENCE = 15 * SECOND
KNOWN_FOR = 60 * MINUTE  # the provider's own description of itself
LEEWAY = 60  # seconds that clocks may differ
# Signatures with a key that only the provider has: never `none`, and never one made with a secret that others know.
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512", "PS384", "PS512"]
FORM = ("content-type", "application/x-www-form-urlencoded")
Exchange = Callable[[Request, int], Awaitable[Any]]


class ProviderTrouble(RuntimeError):
    """The provider did not say who somebody is; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What a browser takes along to the provider and back, sealed: only who set out may arrive."""

    state: str
    nonce: str
    verifier: str
    goes_to: str
    begun: int

    @classmethod
    def begin(cls, goes_to: str, now: int) -> Journey:
        """A new one that nobody can guess."""
        return cls(secrets.token_hex(32), secrets.token_hex(32), secrets.token_hex(32), goes_to, now)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, by the word of the provider."""

    issuer: str
    subject: str
    email: str
    verified: bool  # the provider says that the address is theirs
    name: str


@dataclass
class Provider:
    """An identity provider. What it says of itself is asked for when it is needed, and kept for an hour."""

    name: str
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    exchange: Exchange
    clock: Clock
    _described: tuple[int, Mapping[str, Any]] | None = None
    _keys: tuple[int, KeySet] | None = None

    async def address(self, journey: Journey, back: str) -> str:
        """Where the browser goes to sign in."""
        goes_to = _text(await self._describe(), "authorization_endpoint")
        challenge = create_s256_code_challenge(journey.verifier)
        more = {"nonce": journey.nonce, "code_challenge": challenge, "code_challenge_method": "S256"}
        uri: str = prepare_grant_uri(goes_to, self.client_id, "code", back, "openid email profile", journey.state, **more)
        return uri

    async def who(self, code: str, journey: Journey, back: str) -> Identity:
        """Exchanges the code for the provider's word on who it is. Raises ProviderTrouble."""
        described = await self._describe()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": journey.verifier}
        headers = [FORM, ("accept", "application/json")]
        if self.secret:
            pair = f"{quote(self.client_id, safe='')}:{quote(self.secret, safe='')}"
            headers.append(("authorization", f"Basic {b64encode(pair.encode()).decode()}"))
        else:
            form["client_id"] = self.client_id
        url = _text(described, "token_endpoint")
        answer = await self._ask(Request("POST", url, tuple(headers), urlencode(form).encode()))
        return await self._identity(_text(answer, "id_token"), journey)

    async def _identity(self, token: str, journey: Journey) -> Identity:
        claims = await self._checked(token)
        if claims.get("nonce") != journey.nonce:
            raise ProviderTrouble("The provider's answer belongs to another sign-in.")
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self.client_id:
            raise ProviderTrouble("The provider's answer is for another program.")
        email = str(claims.get("email") or "")
        name = str(claims.get("name") or email)
        return Identity(self.issuer, _text(claims, "sub"), email, claims.get("email_verified") is True, name)

    async def _checked(self, token: str) -> Mapping[str, Any]:
        """The claims of a token whose signature, issuer, audience and time are right. Keys that are new are asked for once."""
        registry = jwt.JWTClaimsRegistry(
            now=self.clock.now() // SECOND,
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        for anew in (False, True):
            try:
                decoded = jwt.decode(token, await self._key_set(anew), algorithms=ALGORITHMS)
                registry.validate(decoded.claims)
            except (JoseError, ValueError) as error:
                if anew:
                    raise ProviderTrouble(f"The provider's answer cannot be believed: {error}") from error
            else:
                return decoded.claims
        raise AssertionError

    async def _describe(self) -> Mapping[str, Any]:
        now = self.clock.now()
        if self._described is None or self._described[0] <= now - KNOWN_FOR:
            found = await self._ask(Request("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"))
            if found.get("issuer") != self.issuer:
                raise ProviderTrouble(
                    f"The provider calls itself {found.get('issuer')!r}: set CAMPANA_OIDC_ISSUER to exactly that."
                )
            self._described = (now, found)
        return self._described[1]

    async def _key_set(self, anew: bool) -> KeySet:
        now = self.clock.now()
        if anew or self._keys is None or self._keys[0] <= now - KNOWN_FOR:
            found = await self._ask(Request("GET", _text(await self._describe(), "jwks_uri")))
            self._keys = (now, KeySet.import_key_set({"keys": found.get("keys") or []}))
        return self._keys[1]

    async def _ask(self, request: Request) -> Mapping[str, Any]:
        answer = await self.exchange(request, boottime() + PATIENCE)
        if not isinstance(answer, Response):
            raise ProviderTrouble(f"The provider does not answer: {answer.reason}")
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if answer.code != 200 or not isinstance(found, dict):
            said = found.get("error_description") or found.get("error") if isinstance(found, dict) else None
            raise ProviderTrouble(f"The provider answered {answer.code}: {said or 'no reason given'}")
        return found


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderTrouble(f"The provider's answer has no {name}.")
    return value
