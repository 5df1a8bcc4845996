"""The portal's server: alone in a process, or beside the sender until the same event."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

GRACE_S = 20  # for uploads under way when it is told to end


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: FastAPI, host: str, port: int, proxies: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,  # a line of it would hold the link
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
    )


def run_alone(app: FastAPI, *, host: str, port: int, proxies: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    uvicorn.Server(_config(app, host, port, proxies)).run()


async def run_beside(app: FastAPI, stop: asyncio.Event, *, host: str, port: int, proxies: str) -> None:
    """Serve until the event is set.

    Raises:
        OSError: the port cannot be had.

    """
    server = _Server(_config(app, host, port, proxies))
    serving = asyncio.create_task(_served(server, port))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        server.should_exit = server.force_exit = True
        stopping.cancel()


async def _served(server: uvicorn.Server, port: int) -> None:
    try:
        await server.serve()
    except SystemExit:  # so uvicorn says that it could not listen; its log names the reason
        raise OSError(f"the portal cannot listen on port {port}; is another one running?") from None
