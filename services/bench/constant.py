"""The least that a Litestar handler behind our server can cost: the same bytes for every request.

Run as `python -m services.bench.constant PORT SIZE`; the server's options are those of services/feed/serve.py.
"""

import sys

import uvicorn
from litestar import Litestar, Response, get

from shared.listening import listen


def create_app(size: int) -> Litestar:
    """An application that answers GET /constant with `size` bytes of JSON."""
    content = b'"' + b"x" * (size - 2) + b'"'

    @get("/constant")
    async def constant() -> Response[bytes]:
        return Response(content, media_type="application/json")

    return Litestar([constant], openapi_config=None, logging_config=None)


def main(port: int, size: int) -> None:
    """Serve until SIGTERM."""
    door = listen("127.0.0.1", port)
    config = uvicorn.Config(
        create_app(size),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    print("listening", flush=True)  # the socket is bound: a request from now on waits rather than fails
    uvicorn.Server(config).run(sockets=[door])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
