"""The only HTTP that leaves the house: libcurl on the running event loop, with one careful answer to "was it sent?".

*Surely not sent* means that libcurl never asked for the body; all else is *perhaps sent*. Bodies go by a read function
without a seek function, for else libcurl sends a POST again by itself when a reused connection closes before the answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pycurl

from campana import __version__
from campana.clock import boottime
from campana.core.exchange import Request, Response
from campana.core.message import Lost, Unsent

MAX_ANSWER = 8 * 1024 * 1024  # bytes
MAX_IDLE = 15  # seconds: an older idle connection is not trusted, since what is lost on it cannot be told from a closing server
CONNECT_SECONDS = 10
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# libcurl adds these by itself. A line without a value takes them away, and leaves one of ours beside it standing.
TAKEN_AWAY = (b"Expect:", b"Content-Type:")

LATE = "the lease was used up before the request could start"
STOPPED = "Campana is stopping"

# What libcurl says -> what people read. {host} is who we talked to, {why} the system's own words.
BEFORE = {
    pycurl.E_COULDNT_RESOLVE_HOST: "no connection to {host}: the name is not known",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no connection to {host}: the name of the proxy is not known",
    pycurl.E_OPERATION_TIMEDOUT: "no connection to {host} in time",
    pycurl.E_SSL_CONNECT_ERROR: "no secure connection to {host}: {why}",
    pycurl.E_PEER_FAILED_VERIFICATION: "no secure connection to {host}: {why}",
    pycurl.E_SSL_CACERT_BADFILE: "no secure connection to {host}: {why}. Set SSL_CERT_FILE to a file of trusted certificates",
    pycurl.E_URL_MALFORMAT: "{host} is not the address of a server",
}
AFTER = {
    pycurl.E_OPERATION_TIMEDOUT: "{host} did not answer in time",
    pycurl.E_GOT_NOTHING: "{host} closed the connection without an answer",
    pycurl.E_SEND_ERROR: "the connection to {host} broke while the request was sent",
    pycurl.E_RECV_ERROR: "the connection to {host} broke before the answer was complete",
    pycurl.E_PARTIAL_FILE: "the answer of {host} was cut in the middle",
    pycurl.E_SEND_FAIL_REWIND: "{host} closed the connection without an answer",
    pycurl.E_FILESIZE_EXCEEDED: f"the answer of {{host}} is longer than {MAX_ANSWER // 1024 // 1024} MB",
}


class Wire:
    """HTTP to vendors over at most `connections` connections. Redirects are not followed and proxies only used when given."""

    def __init__(
        self, connections: int = 64, *, max_answer: int = MAX_ANSWER, proxy: str = "", ca_file: str | None = None
    ) -> None:
        self._options: dict[int, Any] = {
            pycurl.MAXFILESIZE_LARGE: max_answer,
            pycurl.PROXY: proxy,  # the empty one keeps libcurl from reading http_proxy in the environment
        }
        if trusted := ca_file or trusted_certificates():
            self._options[pycurl.CAINFO] = trusted
        else:
            self._options[pycurl.SSL_OPTIONS] = pycurl.SSLOPT_NATIVE_CA
        self._multi = pycurl.AsyncCurlMulti()
        for limit in (pycurl.M_MAX_TOTAL_CONNECTIONS, pycurl.M_MAX_HOST_CONNECTIONS, pycurl.M_MAXCONNECTS):
            self._multi.setopt(limit, connections)
        # More transfers than connections would wait inside libcurl, where no lease is looked at; so they wait here.
        self._slots = _Slots(connections)
        self._idle: list[_Handle] = []

    async def exchange(
        self, request: Request, deadline: int, before: Callable[[], None] | None = None
    ) -> Response | Lost | Unsent:
        """What came of one request. `deadline` is in boot time; `before` runs right before it goes out, or never.

        When `before` raises, nothing is sent and its error is passed on.
        """
        if problem := unfit(request):
            return Unsent(problem)
        if not await self._slots.take(deadline):
            return Unsent(STOPPED if self._multi.closed else LATE)
        try:
            return await self._exchange(request, deadline, before)
        finally:
            self._slots.give_back()

    async def _exchange(self, request: Request, deadline: int, before: Callable[[], None] | None) -> Response | Lost | Unsent:
        # From the look at the clock to the hand-over nothing is awaited, so nothing can come between.
        left = (deadline - boottime()) // 1000
        if left <= 0 or self._multi.closed:
            return Unsent(STOPPED if self._multi.closed else LATE)
        handle = self._idle.pop() if self._idle else _Handle(self._options)
        handle.load(request, left)
        if before:
            before()
        try:
            await self._multi.add_handle(handle.curl)
        except pycurl.error as error:
            result: Response | Lost | Unsent = handle.trouble(error, request.url)
        except asyncio.CancelledError:
            handle.curl.close()
            if self._multi.closed and not _being_cancelled():
                return handle.gave_up()
            raise
        else:
            result = handle.answer()
        handle.empty()
        self._idle.append(handle)
        return result

    async def close(self) -> None:
        """Gives up what is under way, and closes all connections."""
        await self._multi.aclose()
        self._slots.close()
        for handle in self._idle:
            handle.curl.close()
        self._idle.clear()


class _Handle:
    """One easy handle, used again and again, and what passes through it during one exchange."""

    __slots__ = ("at", "body", "curl", "head", "headers", "parts", "shape", "touched", "url")

    def __init__(self, options: dict[int, Any]) -> None:
        self.head: list[bytes] = []
        self.parts: list[bytes] = []
        self.body, self.at, self.touched = b"", 0, False
        self.url = ""
        self.headers: tuple[tuple[str, str], ...] | None = None
        self.shape: tuple[str, bool] | None = None
        self.curl = curl = pycurl.Curl()
        for option, value in {
            pycurl.NOSIGNAL: 1,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,  # a stream of HTTP/2 may be sent twice by libcurl
            pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
            pycurl.SSL_VERIFYPEER: 1,
            pycurl.SSL_VERIFYHOST: 2,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.TCP_NODELAY: 1,
            pycurl.TCP_KEEPALIVE: 1,
            pycurl.MAXAGE_CONN: MAX_IDLE,
            pycurl.CONNECTTIMEOUT: CONNECT_SECONDS,
            pycurl.USERAGENT: f"campana/{__version__}",
            pycurl.HEADERFUNCTION: self.head.append,
            pycurl.WRITEFUNCTION: self.parts.append,
            pycurl.READFUNCTION: self._read,
            pycurl.PREREQFUNCTION: self._connected,
            **options,
        }.items():
            curl.setopt(option, value)

    def _read(self, size: int) -> bytes:
        self.touched = True
        chunk = self.body[self.at : self.at + size]
        self.at += len(chunk)
        return chunk

    def _connected(self, *_: object) -> int:
        # Without a body nobody asks for it: then a request may have left as soon as there was a connection.
        if not self.body:
            self.touched = True
        return int(pycurl.PREREQFUNC_OK)

    def load(self, request: Request, milliseconds: int) -> None:
        """Makes ready for one request, setting only what differs from the last one."""
        curl = self.curl
        self.body, self.at, self.touched = request.body, 0, False
        if request.url != self.url:
            curl.setopt(pycurl.URL, request.url)
            self.url = request.url
        if request.headers != self.headers:
            curl.setopt(pycurl.HTTPHEADER, header_lines(request.headers))
            self.headers = request.headers
        if (shape := (request.method, bool(request.body))) != self.shape:
            self._take_shape(*shape)
            self.shape = shape
        if request.body:
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(request.body))
        curl.setopt(pycurl.TIMEOUT_MS, milliseconds)

    def _take_shape(self, method: str, has_body: bool) -> None:
        curl, carries = self.curl, has_body or method == "POST"
        curl.setopt(pycurl.POST if carries else pycurl.HTTPGET, 1)
        if carries:
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, 0)
        if method == ("POST" if carries else "GET"):
            curl.unsetopt(pycurl.CUSTOMREQUEST)
        else:
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        # libcurl repeats a request without a body when a reused connection closes: harmless for GET, kept from all others.
        curl.setopt(pycurl.FRESH_CONNECT, int(not has_body and method != "GET"))

    def empty(self) -> None:
        """Keeps nothing of what passed through."""
        self.head.clear()
        self.parts.clear()
        self.body = b""

    def answer(self) -> Response:
        """The complete answer."""
        return Response(self.curl.getinfo(pycurl.RESPONSE_CODE), parse_headers(self.head), b"".join(self.parts))

    def trouble(self, error: pycurl.error, url: str) -> Lost | Unsent:
        """What an error means for the message, in a sentence."""
        code, said = error.args[0], str(error.args[1]) if len(error.args) > 1 else "libcurl cannot say why"
        system = self.curl.getinfo(pycurl.OS_ERRNO)
        if code == pycurl.E_COULDNT_CONNECT and system:
            said = os.strerror(system).lower()
        words = (AFTER if self.touched else BEFORE).get(code)
        if words is None:
            words = "the exchange with {host} failed: {why}" if self.touched else "no connection to {host}: {why}"
        reason = words.format(host=host_of(url), why=said)
        return Lost(reason) if self.touched else Unsent(reason)

    def gave_up(self) -> Lost | Unsent:
        """What is left to say when the wire closes under an exchange."""
        return Lost(STOPPED) if self.touched else Unsent(STOPPED)


class _Slots:
    """So many exchanges at a time; the others wait in line, each no longer than its deadline."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._closed = False

    async def take(self, deadline: int) -> bool:
        """True with a slot that must be given back; False when the time was up or the wire closed."""
        if self._free:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(max(0, deadline - boottime()) / 1e6, _decide, turn, False)
        self._waiting.append(turn)
        try:
            return False if self._closed else await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give_back()
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        """Hands the slot to whoever waited longest."""
        while self._waiting:
            if _decide(self._waiting.popleft(), True):
                return
        self._free += 1

    def close(self) -> None:
        """Sends everybody in line away."""
        self._closed = True
        while self._waiting:
            _decide(self._waiting.popleft(), False)


def _decide(turn: asyncio.Future[bool], answer: bool) -> bool:
    if turn.done():
        return False
    turn.set_result(answer)
    return True


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def unfit(request: Request) -> str | None:
    """Why this request may not be sent at all, in a sentence; None when it may."""
    if request.method not in METHODS:
        return f"the method {request.method!r} is not one of {', '.join(sorted(METHODS))}"
    if not URL.fullmatch(request.url):
        return f"{host_of(request.url)} is not part of an http or https address"
    return _unfit_headers(request.headers)


@lru_cache(512)
def _unfit_headers(headers: tuple[tuple[str, str], ...]) -> str | None:
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name):
            return f"{name!r} is not the name of a header"
        if not HEADER_VALUE.fullmatch(value):
            return f"the value of the header {name} has a line break or another sign that no header may have"
    return None


@lru_cache(512)
def header_lines(headers: tuple[tuple[str, str], ...]) -> list[bytes]:
    """Headers as libcurl takes them; one without a value keeps its name."""
    return [*TAKEN_AWAY, *(f"{name}: {value}".encode("latin-1") if value else f"{name};".encode() for name, value in headers)]


def parse_headers(lines: Iterable[bytes]) -> dict[str, str]:
    """The headers of the last answer in `lines` (interim ones come before it), names in lower case, repeated ones joined."""
    found: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            found = {}
            continue
        before, colon, after = line.decode("latin-1").partition(":")
        if colon:
            name, value = before.strip().lower(), after.strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def host_of(url: str) -> str:
    """Whom a URL talks to, without what may be secret in it."""
    try:
        return urlsplit(url).hostname or "the given address"
    except ValueError:
        return "the given address"


def trusted_certificates() -> str | None:
    """The file of trusted certificates: as the environment says, else the system's."""
    places = [os.environ.get("CURL_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile]
    places += ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
    return next((place for place in places if place and Path(place).is_file()), None)


STRUCK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})


def redacted(request: Request, secrets: Iterable[str]) -> dict[str, Any]:
    """A request as people may read it afterwards: every secret is struck out, however it was written."""
    struck = sorted({spelling for secret in secrets if secret for spelling in _spellings(secret)}, key=len, reverse=True)

    def strike(text: str) -> str:
        for spelling in struck:
            text = text.replace(spelling, STRUCK)
        return text

    return {
        "method": request.method,
        "url": strike(re.sub(r"(?<=://)[^/@]*@", f"{STRUCK}@", request.url)),
        "headers": [[name, STRUCK if name.lower() in SECRET_HEADERS else strike(value)] for name, value in request.headers],
        "body": strike(request.body.decode("utf-8", "replace")),
    }


def _spellings(secret: str) -> set[str]:
    """A secret as it stands in headers, URLs, forms and JSON."""
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), base64.b64encode(secret.encode()).decode()}
    return plain | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
