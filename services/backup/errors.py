"""Why a backup or a restore does not take place; each says what to do."""

from services.reaching import Unreachable


class Refused(Exception):
    """What was asked would lose or break something, or the file is not what it should be. Nothing has changed."""


class ToolMissing(Unreachable):
    """No client program of Postgres here that can talk to that server."""


class ToolFailed(Exception):
    """A client program of Postgres gave up; its own words say why. Nothing half done is left to be taken for good."""
