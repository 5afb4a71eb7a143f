"""Slugs: the one name of a topic, however its tag is spelled. The feed makes them, the gateway is asked for them."""

import unicodedata

SLUG_MAX = 100
"""Code points of a topic's slug at most, and so of a tag."""


def fold(spelling: str) -> str:
    """The slug of a tag: NFKC, casefold, without `-` and `_`; every spelling of a topic folds to the same.

    Applied until it changes nothing: dropping a hyphen can bring a letter and its accent together. May be longer than
    the spelling, or empty.
    """
    while True:
        folded = unicodedata.normalize("NFKC", spelling).casefold().replace("-", "").replace("_", "")
        if folded == spelling:
            return folded
        spelling = folded
