"""What a browser calls itself, shortened to what a person recognises: 'Firefox on Linux'. Nothing finer is kept."""

import regex

_LONGEST = 1_000
"""Characters of a User-Agent that are looked at."""

# In order: later ones call themselves by the earlier ones' names too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chromium", "Chromium"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
_CLIENT = regex.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,39}+(?=/|$)")


def device(user_agent: str | None) -> str | None:
    """A name for the device that asks; None when it says nothing that has one."""
    said = (user_agent or "")[:_LONGEST]
    browser = next((name for mark, name in _BROWSERS if mark in said), None)
    system = next((name for mark, name in _SYSTEMS if mark in said), None)
    if browser is not None:
        return f"{browser} on {system}" if system else browser
    client = _CLIENT.match(said)
    return client[0].strip() if client and client[0] != "Mozilla" else system
