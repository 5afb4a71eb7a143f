"""What logs may never show: a traceback names places, not what variables held."""

import subprocess
import sys

import pytest

_BREAK = """
import logging, sys
from shared.telemetry import configure, get_logger
configure("feed", level="info", style=sys.argv[1])
def connect(password):
    raise ConnectionError("refused")
try:
    connect("a kettle and a lamp")
except ConnectionError as error:
    get_logger("x").error("it_broke", exc_info=error)
    logging.getLogger("asyncpg.pool").warning("Trying again", exc_info=True)
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_variable_and_the_driver_says_its_error_in_one_line(style: str) -> None:
    said = subprocess.run([sys.executable, "-c", _BREAK, style], capture_output=True, text=True, check=True).stderr
    ours, driver = said.split("Trying again") if style == "console" else said.splitlines()
    assert "it_broke" in ours
    assert "Traceback (most recent call last)" in ours
    assert "kettle" not in said
    assert "refused" in driver
    assert "Traceback" not in driver


_REFUSED = """
import sys
import asyncpg
from shared.telemetry import configure, get_logger
configure("feed", level="info", style=sys.argv[1])
refused = asyncpg.NotNullViolationError("null value in column x")
refused.detail = "Failing row contains (7, a kettle and a lamp)."
try:
    try:
        raise refused
    except asyncpg.PostgresError as error:
        raise RuntimeError("it did not work") from error
except RuntimeError as error:
    get_logger("x").error("it_broke", exc_info=error)
assert refused.detail.startswith("Failing row")
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_leaves_out_the_row_that_postgres_quotes(style: str) -> None:
    said = subprocess.run([sys.executable, "-c", _REFUSED, style], capture_output=True, text=True, check=True).stderr
    assert "null value in column x" in said
    assert "it did not work" in said
    assert "kettle" not in said
