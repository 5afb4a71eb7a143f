"""Environment to frozen Structs; every fault is reported at once, by name.

A setting is declared once, as a field with its type, bounds, default and description; the table in the README is made
from that. Names are the field's, in capitals, after CHORUS_. An empty value counts as unset; CHORUS_…_FILE names a file
that holds the value.
"""

import ipaddress
import types
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec

from shared import environment
from shared import faults as points

PREFIX = "CHORUS_"
S = TypeVar("S", bound="Common")


class SettingsError(Exception):
    """Some settings are not usable; `faults` names each, with what it takes."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def described(text: str, **bounds: Any) -> msgspec.Meta:
    """A setting's description, in words for an operator, and its bounds."""
    return msgspec.Meta(description=text, **bounds)


_SCHEMES = {
    **dict.fromkeys(("database_url", "notify_database_url", "direct_database_url"), ("postgresql", "postgres")),
    "redis_url": (*(f"{tls}{kind}" for kind in ("", "+sentinel", "+cluster") for tls in ("redis", "rediss")), "unix"),
    "smtp_url": ("smtp", "smtps"),
    "public_url": ("http", "https"),
    "live_url": ("ws", "wss"),
    "media_endpoint": ("http", "https"),
}
"""What addresses may start with: anything else would be found out by whoever connects first, in the driver's words."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every process of Chorus is told."""

    database_url: Annotated[
        str, described("Postgres, as the feed's role; behind PgBouncer in transaction mode with `?pooler=transaction`.")
    ] = ""
    notify_database_url: Annotated[str, described("Postgres, as notify's role; unset: `DATABASE_URL`.")] = ""
    direct_database_url: Annotated[
        str,
        described("Postgres without a pooler between, for migrations and the sequencer; unset: `DATABASE_URL`."),
    ] = ""
    redis_url: Annotated[
        str,
        described(
            "Redis ≥ 7; unset: `chorus up` starts its own. `rediss://` is TLS; `redis+sentinel://h:p,h:p/master` and "
            "`redis+cluster://h:p,h:p` are found through several."
        ),
    ] = ""
    redis_ca: Annotated[
        str, described("File with the certificates that sign Redis's; unset: the system's. For `rediss…://`.")
    ] = ""
    secret_key: Annotated[
        str, described("Signs tokens; at least 32 characters. Unset: `chorus up` makes one and keeps it.")
    ] = ""
    database_password: Annotated[str, described("Goes into `DATABASE_URL`; for a file of its own.")] = ""
    notify_database_password: Annotated[str, described("Goes into `NOTIFY_DATABASE_URL`.")] = ""
    direct_database_password: Annotated[str, described("Goes into `DIRECT_DATABASE_URL`.")] = ""
    redis_password: Annotated[str, described("Goes into `REDIS_URL`.")] = ""
    host: Annotated[str, described("Address that both services listen on.")] = "127.0.0.1"
    feed_port: Annotated[
        Port,
        described("The feed's port, and the page's. Given and taken: exit 4; unset: the next free pair."),
    ] = 8000
    notify_port: Annotated[Port, described("Notify's port. Given and taken: exit 4.")] = 8001
    public_url: Annotated[str, described("Where browsers reach the page; unset: `http://HOST:FEED_PORT`.")] = ""
    live_url: Annotated[str, described("Where browsers reach the socket; unset: `ws://HOST:NOTIFY_PORT/v1/live`.")] = ""
    allowed_origins: Annotated[
        tuple[str, ...],
        described("More origins, comma separated, that may call with a cookie or open a socket."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        described(
            "Addresses and networks of proxies, comma separated, whose `X-Forwarded-For` is believed; unset: nobody's, "
            "and every caller is who connects."
        ),
    ] = ()
    data_dir: Annotated[str, described("Where embedded servers, photos and `run.json` live.")] = ".chorus"
    media_url: Annotated[
        str, described("Where photos are kept: `s3://bucket/prefix`; unset: a folder in `DATA_DIR`.")
    ] = ""
    media_endpoint: Annotated[
        str,
        described("S3 that is not Amazon's, `https://minio.example:9000`: buckets are paths there; unset: Amazon's."),
    ] = ""
    media_region: Annotated[str, described("The bucket's region; unset: `us-east-1`.")] = ""
    media_access_key: Annotated[
        str, described("S3's access key (its id); unset: `AWS_ACCESS_KEY_ID`, or the machine's role.")
    ] = ""
    media_secret_key: Annotated[str, described("The secret that goes with it; for a file of its own.")] = ""
    mail_from: Annotated[
        str,
        described(
            "Who letters are from, `Chorus <hello@example.org>`. Unset: nothing is mailed and nobody can recover an "
            "account; the page says so."
        ),
    ] = ""
    logs: Annotated[int, described("How many logs events are spread over; fixed at the first start.", ge=1, le=64)] = 1
    reaction_kinds: Annotated[tuple[str, ...], described("Kinds of reaction that members may choose.")] = (
        "heart",
        "hug",
        "relate",
        "strength",
        "joy",
    )
    log_level: Annotated[str, described("Least level logged.", pattern="^(debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, described("`json`, or `console` for people.", pattern="^(json|console)$")] = "json"
    clock_offset: Annotated[
        float, described("For tests: never in production. Seconds that the wall clock of a process is off.")
    ] = 0.0
    clock_file: Annotated[
        str, described("For tests: the file that holds another offset, read at the start and at SIGUSR2.")
    ] = ""
    faults: Annotated[
        tuple[str, ...],
        described("For tests: never in production. Faults, e.g. `sequencer:numbered=kill@3`; see `shared/faults.py`."),
    ] = ()
    faults_log: Annotated[str, described("For tests: the file that says which faults fired.")] = ""

    def page_url(self) -> str:
        """Where browsers reach the page, without a slash at the end."""
        return _as_origin(self.public_url or f"http://{_host(self.host)}:{self.feed_port}")

    def socket_url(self) -> str:
        """Where browsers reach the live socket."""
        return self.live_url or f"ws://{_host(self.host)}:{self.notify_port}/v1/live"

    def notify_url(self) -> str:
        """Where browsers reach notify's HTTP calls: the socket's origin."""
        scheme, _, rest = self.socket_url().partition("://")
        return f"{'https' if scheme == 'wss' else 'http'}://{rest.split('/', 1)[0]}"

    def origins(self) -> frozenset[str]:
        """Every origin that a browser may call from. A loopback page is reached by three names."""
        own = [self.page_url(), *(_as_origin(origin) for origin in self.allowed_origins)]
        if self.host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::") and not self.public_url:  # noqa: S104
            own += [f"http://{name}:{self.feed_port}" for name in ("127.0.0.1", "localhost", "[::1]")]
        return frozenset(own)

    def redis_address(self) -> str:
        """`redis_url`, with the certificates to check it by; empty where there is no Redis."""
        if not self.redis_ca or not self.redis_url.startswith("rediss"):
            return self.redis_url
        return f"{self.redis_url}{'&' if '?' in self.redis_url else '?'}ssl_ca_certs={quote(self.redis_ca)}"

    def sends_mail(self) -> bool:
        """Whether letters get anywhere."""
        return bool(self.mail_from)

    def postgres_for_notify(self) -> str:
        """The URL that notify connects with."""
        return self.notify_database_url or self.database_url

    def postgres_direct(self) -> str:
        """The URL for migrations and the sequencer: never through a pooler."""
        return self.direct_database_url or self.database_url


def _as_origin(url: str) -> str:
    """As browsers write it: without a slash at the end, and without the port that goes without saying."""
    return url.rstrip("/").removesuffix(":443" if url.startswith("https") else ":80")


def _host(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - listened on, not reached by that name
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def load(settings: type[S], environ: Mapping[str, str], *, require: tuple[str, ...] = ()) -> S:
    """The settings that `environ` gives; `require` names fields that may not be empty.

    Raises SettingsError with every fault. Values are never repeated in a fault: they may be secrets.
    """
    hints = get_type_hints(settings, include_extras=True)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in msgspec.structs.fields(settings):
        name = PREFIX + field.name.upper()
        try:
            raw = environment.read(environ, name)
        except ValueError as error:
            faults.append(f"{error}.")
            continue
        if not raw:
            if field.name in require:
                faults.append(f"{name} must be set.")
            continue
        try:
            values[field.name] = msgspec.convert(_split(raw, hints[field.name]), hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            faults.append(f"{name}: {_in_words(str(error))}.")
    for name, schemes in _SCHEMES.items():
        if (given := values.get(name)) and given.partition("://")[0] not in schemes:
            faults.append(f"{PREFIX}{name.upper()} must start with {' or '.join(f'{each}://' for each in schemes)}.")
        elif given and set(given.partition("://")[2].partition("?")[0].rpartition("@")[0]) & set("@/# "):
            faults.append(f"{PREFIX}{name.upper()}: write @ / # and spaces of a password percent-encoded (%40: @).")
    if "pooler=" in values.get("direct_database_url", values.get("database_url", "")):
        faults.append(
            f"{PREFIX}DIRECT_DATABASE_URL must lead to Postgres itself: migrations and the sequencer need that."
        )
    if 0 < len(values.get("secret_key", "")) < 32:
        faults.append(f"{PREFIX}SECRET_KEY must have at least 32 characters.")
    if "smtp_url" in hints and any(map(values.get, ("smtp_url", "mail_dir"))) != bool(values.get("mail_from")):
        faults.append(f"{PREFIX}MAIL_FROM goes with {PREFIX}SMTP_URL or {PREFIX}MAIL_DIR: set both, or none.")
    if bool(values.get("media_access_key")) != bool(values.get("media_secret_key")):
        faults.append(f"{PREFIX}MEDIA_ACCESS_KEY goes with {PREFIX}MEDIA_SECRET_KEY: set both, or none.")
    try:
        points.parse(values.get("faults", ()))
    except ValueError as error:
        faults.append(f"{PREFIX}FAULTS: {error}.")
    if not all(_is_network(proxy) for proxy in values.get("trusted_proxies", ())):
        faults.append(f"{PREFIX}TRUSTED_PROXIES: expected addresses and networks like 10.0.0.0/24.")
    if faults:
        raise SettingsError(faults)
    return settings(**{**values, **_with_passwords(values)})


def _is_network(proxy: str) -> bool:
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        return False
    return True


def _with_passwords(values: dict[str, Any]) -> dict[str, Any]:
    """The addresses with the passwords that were given apart from them, which nobody else needs."""
    found: dict[str, Any] = {}
    for name in ("database", "notify_database", "direct_database", "redis", "smtp"):
        url, password = values.get(f"{name}_url"), values.get(f"{name}_password")
        if url and password and (name != "smtp" or "@" in url):  # a mail server that asks for nobody is told nothing
            found |= {f"{name}_url": environment.with_password(url, password), f"{name}_password": ""}
    return found


def _in_words(fault: str) -> str:
    """A fault without the names of Python's types: who reads it wrote an environment variable."""
    for kind, word in (("`int`", "a whole number"), ("`float`", "a number")):
        fault = fault.replace(kind, word).replace(f"Expected {word} >", f"Expected {word}, >")
        fault = fault.replace(f"Expected {word} <", f"Expected {word}, <")
    return fault.removesuffix(", got `str`")


def _split(raw: str, hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple:
        return [part.strip() for part in raw.split(",") if part.strip()]
    return raw


def table(settings: type[Common]) -> list[tuple[str, str, str]]:
    """Every setting as (name, default, description), in order of declaration."""
    hints = get_type_hints(settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(settings):
        default = field.default
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        rows.append((PREFIX + field.name.upper(), shown, _description(hints[field.name])))
    return rows


def _description(hint: Any) -> str:
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, msgspec.Meta) and part.description:
            return part.description
    if get_origin(hint) in (Union, types.UnionType):
        return next((found for arm in get_args(hint) if (found := _description(arm))), "")
    return ""
