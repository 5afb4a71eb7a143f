"""What notify is told, beyond what every process is told."""

from typing import Annotated

from shared.settings import Common, described


class NotifySettings(Common, frozen=True, kw_only=True):
    """Notify's settings."""

    notify_pool: Annotated[int, described("Postgres connections of one notify process.", ge=2, le=200)] = 8
    smtp_url: Annotated[
        str,
        described(
            "The mail server: `smtp://user:password@host:587` (with STARTTLS, unless it is on this machine or "
            "the address ends in `?tls=never`), or `smtps://…`."
        ),
    ] = ""
    smtp_password: Annotated[str, described("Goes into `SMTP_URL`, where that names a user.")] = ""
    mail_dir: Annotated[
        str,
        described("Without `SMTP_URL`: a folder that gets each letter as a file to read; `chorus up` makes one."),
    ] = ""
    drain: Annotated[float, described("Seconds over which sockets are asked to leave on SIGTERM.", ge=0, le=600)] = 10.0
    ring: Annotated[
        int,
        described("Newest entries of each log kept in memory; fewer when they are very long.", ge=100, le=5_000_000),
    ] = 100_000
    ping_interval: Annotated[float, described("Seconds between the gateway's pings.", ge=1, le=120)] = 25.0
    sockets_per_address: Annotated[int, described("Live sockets that one address may hold.", ge=1)] = 20_000
    write_buffer: Annotated[
        int,
        described(
            "Bytes that may wait for one socket; slower readers fall behind and catch up.",
            ge=16_384,
            le=16_777_216,
        ),
    ] = 65_536
