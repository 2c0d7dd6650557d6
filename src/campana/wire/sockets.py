"""Which of our connections the other side has closed."""

from __future__ import annotations

import select

import pycurl


class Sockets:
    """The sockets of one wire. libcurl trusts a connection that was used a moment ago; if the server has closed it since, it
    swallows the next request and leaves us not knowing. So while a closed one is about, new connections are made."""

    def __init__(self) -> None:
        # Only Linux tells of a closing while something is left to read; elsewhere libcurl's own look must do.
        self._watch = select.epoll() if hasattr(select, "EPOLLRDHUP") else None
        self._closed: set[int] = set()

    def opened(self, descriptor: int, _purpose: int) -> int:
        """Watches a new socket until it is closed; libcurl calls this."""
        if self._watch:
            self._watch.register(descriptor, select.EPOLLRDHUP | select.EPOLLONESHOT)
        return int(pycurl.SOCKOPT_OK)

    def any_closed(self) -> bool:
        """Whether the other side has closed a connection that libcurl may still use."""
        if self._watch:
            self._closed.update(descriptor for descriptor, _ in self._watch.poll(0))
        self._closed = {descriptor for descriptor in self._closed if _hung_up(descriptor)} if self._closed else self._closed
        return bool(self._closed)

    def close(self) -> None:
        """Watches nothing any more."""
        if self._watch:
            self._watch.close()
            self._watch = None


def _hung_up(descriptor: int) -> bool:
    look = select.poll()
    look.register(descriptor, select.POLLRDHUP)
    return any(not event & select.POLLNVAL for _, event in look.poll(0))  # not valid: we have closed it too
