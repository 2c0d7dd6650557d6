"""What tests need to start processes of their own and leave none behind."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys

HOST = "127.0.0.1"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def die_with_parent() -> None:
    """Whatever becomes of us, no process of ours is left behind. To be called in the child, as the user it runs as."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
