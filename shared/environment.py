"""What the environment gives: a setting as it stands there, or in the file that NAME_FILE names, and passwords apart.

Files are how container engines hand over secrets: nothing secret is in a process's environment, in what an engine shows
of a container, or in a compose file.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

_MOST = 64 * 1024
"""Bytes of such a file; a key has a hundred."""


def is_given(environ: Mapping[str, str], name: str) -> bool:
    """Whether the environment says it in either way; an empty value counts as unset."""
    return any(environ.get(way, "").strip() for way in (name, f"{name}_FILE"))


def read(environ: Mapping[str, str], name: str) -> str:
    """What it is, without space around it; empty when unset. Raises ValueError, in words that show no value."""
    said, file = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if not file:
        return said
    if said:
        raise ValueError(f"{name} and {name}_FILE are both set: keep one")
    how = "On containers `sh deploy/secrets.sh` makes what is missing, or says what you have to; "
    how += "otherwise write the value into that file"
    try:
        with Path(file).open("rb") as opened:
            held = opened.read(_MOST).decode().strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE: {file}: {(error.strerror or str(error)).lower()}. {how}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}_FILE: {file} is no text") from None
    if not held:
        raise ValueError(f"{name}_FILE: {file} is empty. {how}")
    return held


def with_password(url: str, password: str) -> str:
    """`url` with this password in it, in place of the one that it may have."""
    scheme, mark, rest = url.partition("://")
    place, *tail = rest.partition("/")
    who, at, host = place.rpartition("@")
    if not at:
        host = place
    return f"{scheme}{mark}{who.partition(':')[0]}:{quote(password, safe='')}@{host}{''.join(tail)}"
