"""`chorus notify`: one notify process, or several on one port."""

import os

import click


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes on the one port.")
@click.option(
    "--worker-ports",
    type=click.IntRange(1, 65_000),
    help="First of the ports where each worker answers alone, /metrics for one; unset: the next after NOTIFY_PORT.",
)
@click.option("--own-port", type=int, hidden=True, help="Makes this process a worker: said by its parent.")
def command(workers: int, worker_ports: int | None, own_port: int | None) -> int:
    """Serve the live socket and the inbox until stopped.

    With several workers each has its own memory of the newest entries and its own share of the sockets; one that dies
    is started again, and its clients come back to the others meanwhile.
    """
    from services.notify.settings import NotifySettings
    from services.outcome import serve
    from shared.settings import load

    settings = load(NotifySettings, os.environ, require=("database_url", "secret_key"))
    if workers > 1 and own_port is None:
        from services.workers import run_workers

        return run_workers(settings, workers, worker_ports, os.environ)
    from services.notify.serve import run

    return serve(lambda: run(settings, own_port))
