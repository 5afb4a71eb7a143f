"""Records what a release asks of Postgres, so that later schemas can be held to it, in released/SCHEMA.json.

`python -m tests.deploy.record_release [COMMIT]` (HEAD), when a release is made: the next migration is held to that.

The statements are kept, not found in git: a clone may be shallow, and an archive has no history at all.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
RELEASED = Path(__file__).parent / "released"

_COLLECT = """
import json, sys
from pathlib import Path
from shared.postgres import load_queries
from shared.eventlog import entries, leadership, outbox, sequencer
root = Path(sys.argv[1])
found = {}
for file in sorted(root.glob("**/sql/*.sql")):
    queries = load_queries(file)
    for name in queries.available_queries:
        if not name.endswith("_cursor"):
            found[f"{file.relative_to(root)}:{name}"] = getattr(queries, name).sql
owner = {"leaders": leadership._LEADS, "number": sequencer._NUMBER}
for name, sql in {"append": outbox._APPEND, "append_many": outbox._APPEND_MANY, "read": entries._READ, **owner}.items():
    found[f"shared/eventlog:{name}"] = sql
print(json.dumps(found))
"""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One release: its commit, the newest schema that it knew, and its statements by `file:name`."""

    commit: str
    schema: str
    statements: dict[str, str]


def check_out(commit: str, folder: Path) -> None:
    """The code of a commit, in a folder. Raises CalledProcessError where there is no such commit."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit, "shared", "services"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        # Pythons before 3.11.4 know no filters; it is our own code either way.
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)


def record(commit: str) -> Release:
    """What a commit asks."""
    full = subprocess.run(["git", "rev-parse", commit], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        check_out(commit, folder)
        env = {"PYTHONPATH": place, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        said = subprocess.run([sys.executable, "-c", _COLLECT, place], env=env, capture_output=True, check=True).stdout
        schema = max(path.stem for path in (folder / "shared/migrations/versions").glob("0*.py"))
    return Release(commit=full.strip(), schema=schema, statements=msgspec.json.decode(said, type=dict[str, str]))


if __name__ == "__main__":
    made = record(sys.argv[1] if len(sys.argv) > 1 else "HEAD")
    file = RELEASED / f"{made.schema}.json"
    RELEASED.mkdir(exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    print(f"{file.relative_to(ROOT)}: {len(made.statements)} statements")
