"""Passwords that somebody would guess first: on the bundled lists of zxcvbn, about oneself, or trivially made.

Nothing is asked of a password's composition: what is not on a list, a pattern as a whole, or guessed within a thousand
attempts is let in. https://github.com/dropbox/zxcvbn (Wheeler, USENIX Security 2016); no call leaves the machine.
"""

import threading
from collections.abc import Iterable

import regex
from zxcvbn import zxcvbn

from shared.errors import Fault

LOOKED_AT = 32
"""Characters that are looked at: the longest of a list has 23."""
_DISGUISES = frozenset("4@8({[<369&#!1/|0$5+7%2")
_DISGUISED_AT_MOST = 10
"""Different characters that may stand for letters: no listed password has more, and twenty of them took 2 s to try. So
bounded, the slowest that was found takes 65 ms, most take 3."""
_GUESSES_AT_ONCE = 1_000
_GUESSES_AS_A_WHOLE = 1_000_000
"""Of a password that is one word of a list, one repeat, one sequence, one walk over the keyboard or one date."""
_ABOUT_MOST = 20
_PART = regex.compile(r"[\p{L}\p{N}]{3,}+")

# zxcvbn keeps what is about a member in a dictionary of the module: two members at once would be mixed up.
_alone = threading.Lock()


def guessable(password: str, about: Iterable[str], *, field: str = "password") -> list[Fault]:
    """What is wrong with a password: nothing, or the one fault `common_password`. `about`: handle, name, address.

    Call it off the event loop.
    """
    looked_at = password[:LOOKED_AT]
    if len(_DISGUISES.intersection(looked_at)) > _DISGUISED_AT_MOST:
        return []
    with _alone:
        found = zxcvbn(looked_at, user_inputs=_words(about))
    as_a_whole = len(found["sequence"]) == 1 and found["sequence"][0]["pattern"] != "bruteforce"
    if found["guesses"] >= (_GUESSES_AS_A_WHOLE if as_a_whole else _GUESSES_AT_ONCE):
        return []
    detail = "It is among the first that somebody would guess. Three or four words that don't belong together do well."
    return [Fault(field=field, code="common_password", detail=detail)]


def _words(about: Iterable[str]) -> list[str]:
    """Each of them whole, and its parts."""
    words = [word for each in about for word in (each, *_PART.findall(each)[:5])]
    return list(dict.fromkeys(word[:LOOKED_AT] for word in words))[:_ABOUT_MOST]
