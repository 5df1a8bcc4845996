"""The portal's server: alone in a process, or beside the sender until the same event."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

BACKLOG = 2048  # visitors that may wait in the socket
GRACE_S = 20  # for uploads under way when it is told to end


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens; visitors wait in it until the pages are served.

    Raises:
        OSError: another process listens there, or there is no such address here.

    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    door = socket.socket(family, kind, protocol)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may still linger
        door.bind(address)
        door.listen(BACKLOG)
    except OSError:
        door.close()
        raise
    return door


def _config(app: FastAPI, proxies: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,  # a line of it would hold the link
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
    )


def run_alone(app: FastAPI, door: socket.socket, *, proxies: str) -> None:
    """Serve until SIGINT or SIGTERM those who come to a socket that listens."""
    uvicorn.Server(_config(app, proxies)).run(sockets=[door])


async def run_beside(app: FastAPI, door: socket.socket, stop: asyncio.Event, *, proxies: str) -> None:
    """Serve until the event is set those who come to a socket that listens."""
    server = _Server(_config(app, proxies))
    serving = asyncio.create_task(server.serve(sockets=[door]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        server.should_exit = server.force_exit = True
        stopping.cancel()
