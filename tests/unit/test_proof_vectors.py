"""The proof rule, as vectors/proof.json states it: the Python client and the page's proof.js give the same answers.

proof.js is run by node where there is one, and by the page's own browser otherwise: never skipped.
"""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import open_chromium
from tests.live_client import Cursor, Proof

FOLDER = Path(__file__).parents[1] / "vectors"
"""proof.json is the design's own; proof_more.json holds what mutants showed to be missing in it."""
VECTORS: list[dict[str, Any]] = [
    vector for name in ("proof.json", "proof_more.json") for vector in json.loads((FOLDER / name).read_text())
]
PROOF_JS = Path(__file__).parents[2] / "services/feed/web/proof.js"

RUN = """
(vectors, Proof) => vectors.map(({ channel, steps }) => {
  const proof = new Proof(channel);
  return steps.map(({ send, frame }) => {
    if (send) proof.ask(send.id, send.since && { epoch: 7, seq: send.since });
    return { does: send ? null : proof.take(frame), mine: proof.mine && [...proof.mine], state: proof.state };
  });
})
"""


def expected(vector: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: step[key] for key in ("does", "mine", "state")} for step in vector["steps"]]


def cursor(since: list[int] | None) -> Cursor | None:
    return None if since is None else {"epoch": 7, "seq": since}


def in_node(node: str) -> list[Any]:
    script = f"""
      import {{ Proof }} from {json.dumps(PROOF_JS.as_uri())};
      console.log(JSON.stringify(({RUN})({json.dumps(VECTORS)}, Proof)));
    """
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, text=True, timeout=30, check=True
    )
    return list(json.loads(done.stdout))


def in_chromium() -> list[Any]:
    with open_chromium() as browser:
        page = browser.new_page()
        source = json.dumps("data:text/javascript," + PROOF_JS.read_text().replace("%", "%25").replace("#", "%23"))
        answers = page.evaluate(f"async (v) => ({RUN})(v, (await import({source})).Proof)", VECTORS)
    return list(answers)


@cache
def answers_of_live_js() -> list[Any]:
    node = shutil.which("node")
    return in_node(node) if node else in_chromium()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_python_client_proves_as_the_vectors_say(vector: dict[str, Any]) -> None:
    proof = Proof(vector["channel"])
    answers = []
    for step in vector["steps"]:
        does = None
        if "send" in step:
            proof.ask(step["send"]["id"], cursor(step["send"]["since"]))
        else:
            does = proof.take(step["frame"])
        answers.append({"does": does, "mine": proof.mine and list(proof.mine), "state": proof.state})
    assert answers == expected(vector)


@pytest.mark.parametrize("number", range(len(VECTORS)), ids=[vector["name"] for vector in VECTORS])
def test_live_js_proves_as_the_vectors_say(number: int) -> None:
    assert answers_of_live_js()[number] == expected(VECTORS[number])
