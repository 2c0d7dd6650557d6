"""One easy handle of libcurl: a request goes in, an answer or a sentence comes out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pycurl

from campana import __version__
from campana.clock import boottime
from campana.core.exchange import Request, Response
from campana.core.message import Lost, Unsent
from campana.wire.fitness import host_of

MAX_ANSWER = 8 * 1024 * 1024  # bytes
MAX_IDLE = 15  # seconds: an older idle connection is not trusted, since what is lost on it cannot be told from a closing server
CONNECT_SECONDS = 10
# libcurl adds these by itself. A line without a value takes them away, and leaves one of ours beside it standing.
TAKEN_AWAY = (b"Expect:", b"Content-Type:")

STOPPED = "Campana is stopping"

# What libcurl says -> what people read. {host} is who we talked to, {why} the system's own words.
BEFORE = {
    pycurl.E_COULDNT_RESOLVE_HOST: "no connection to {host}: the name is not known",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no connection to {host}: the name of the proxy is not known",
    pycurl.E_OPERATION_TIMEDOUT: "no connection to {host} in time",
    pycurl.E_ABORTED_BY_CALLBACK: "the lease was used up before the request could leave",
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


class Handle:
    """One easy handle, used again and again, and what passes through it during one exchange."""

    __slots__ = ("at", "body", "curl", "deadline", "fresh", "head", "headers", "parts", "shape", "touched", "url")

    def __init__(self, options: dict[int, Any]) -> None:
        self.head: list[bytes] = []
        self.parts: list[bytes] = []
        self.body, self.at, self.touched = b"", 0, False
        self.url = ""
        self.deadline = 0
        self.headers: tuple[tuple[str, str], ...] | None = None
        self.shape: tuple[str, bool] | None = None
        self.fresh = False
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
            **options,
        }.items():
            curl.setopt(option, value)

    def _read(self, size: int) -> bytes | int:
        if not self.touched and boottime() >= self.deadline:
            return int(pycurl.READFUNC_ABORT)  # the process stood still: somebody else may have taken over
        self.touched = True
        chunk = self.body[self.at : self.at + size]
        self.at += len(chunk)
        return chunk

    def _connected(self, *_: object) -> int:
        self.touched = True
        return int(pycurl.PREREQFUNC_OK)

    def load(self, request: Request, milliseconds: int, fresh: bool, deadline: int) -> None:
        """Makes ready for one request, setting only what differs from the last one. Its body leaves before `deadline`, in boot
        time, or not at all."""
        curl = self.curl
        self.deadline = deadline
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
        # libcurl repeats a request without a body when a reused connection closes: harmless for GET, kept from all others.
        fresh = fresh or not (request.body or request.method == "GET")
        if fresh != self.fresh:
            curl.setopt(pycurl.FRESH_CONNECT, int(fresh))
            self.fresh = fresh
        curl.setopt(pycurl.TIMEOUT_MS, milliseconds)

    def _take_shape(self, method: str, has_body: bool) -> None:
        curl, carries = self.curl, has_body or method == "POST"
        if has_body:
            curl.unsetopt(pycurl.PREREQFUNCTION)
        else:  # nobody asks for a body, so the request may have left as soon as there was a connection
            curl.setopt(pycurl.PREREQFUNCTION, self._connected)
        curl.setopt(pycurl.POST if carries else pycurl.HTTPGET, 1)
        if carries:
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, 0)
        if method == ("POST" if carries else "GET"):
            curl.unsetopt(pycurl.CUSTOMREQUEST)
        else:
            curl.setopt(pycurl.CUSTOMREQUEST, method)

    def empty(self) -> None:
        """Keeps nothing of what passed through."""
        self.head.clear()
        self.parts.clear()
        self.body = b""

    def answer(self) -> Response | Lost:
        """The answer, when it is complete: headers that were cut short are all right to libcurl."""
        headers = parse_headers(self.head)
        if headers is None:
            return Lost(AFTER[pycurl.E_PARTIAL_FILE].format(host=host_of(self.url)))
        return Response(self.curl.getinfo(pycurl.RESPONSE_CODE), headers, b"".join(self.parts))

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


@lru_cache(512)
def header_lines(headers: tuple[tuple[str, str], ...]) -> list[bytes]:
    """Headers as libcurl takes them; one without a value keeps its name."""
    return [*TAKEN_AWAY, *(f"{name}: {value}".encode("latin-1") if value else f"{name};".encode() for name, value in headers)]


def parse_headers(lines: Iterable[bytes]) -> dict[str, str] | None:
    """The headers of the last answer in `lines` (interim ones come before it), names in lower case, repeated ones joined.

    None when the empty line that ends them is missing.
    """
    found: dict[str, str] = {}
    complete = False
    for line in lines:
        if line.startswith(b"HTTP/"):
            found, complete = {}, False
            continue
        before, colon, after = line.decode("latin-1").partition(":")
        if colon:
            name, value = before.strip().lower(), after.strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
        elif not before.strip():
            complete = True
    return found if complete else None
