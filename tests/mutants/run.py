"""Breaks the code on purpose, one mutant at a time, and shows which test notices: `make mutants`.

Works on copies of the tracked tree, uncommitted changes included. Ends with 1 when a mutant survives, or when the tests
fail without one. A test that hangs under a mutant has noticed it too, and is said to.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.mutants import table
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Copy, Mutant

WORKERS = 2
ONE_TEST = 60
"""Seconds that one test may take; the slowest of ours needs ten on two quiet cores."""
ALL_TESTS = 400
"""Seconds for a mutant's tests together, when not even the limit for one is heeded."""

_running: "set[subprocess.Popen[str]]" = set()


class Outcome(NamedTuple):
    """What became of a mutant: caught `by` a test, or not, and then `said` is why or what pytest said."""

    mutant: Mutant
    by: str
    hung: bool
    seconds: float
    said: str

    @property
    def words(self) -> str:
        """`by` as the table shows it."""
        return f"`{self.by}`{' (hangs)' if self.hung else ''}" if self.by else "nothing"


class Ran(NamedTuple):
    """One run of pytest: its exit code (None: it hung), the tests that failed, and the end of what it printed."""

    code: int | None
    failed: list[tuple[str, str]]
    said: str


def tracked() -> list[str]:
    """Files of the tree as it is now, those that are new and not ignored among them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return sorted(name for name in set(listed.stdout.decode().split("\0")) if name and (ROOT / name).is_file())


@contextmanager
def copies(count: int) -> Iterator[list[Path]]:
    """So many copies of the tree; the first one stays as it is. They are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="chorus-mutants-"))
    folder.chmod(0o711)
    try:
        made = [folder / str(number) for number in range(count)]
        for name in tracked():
            for copy in made:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_tests(root: Path, tests: Iterable[str], *, first_failure_only: bool) -> Ran:
    """pytest with the venv of this process and the code of `root`."""
    report = root / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--hypothesis-seed=0", f"--timeout={ONE_TEST}"]
    command += [*(["-x"] if first_failure_only else []), f"--junitxml={report}", *tests]
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _running.add(process)
    try:
        said, _ = process.communicate(timeout=ALL_TESTS)
    except subprocess.TimeoutExpired:
        end(process)
        said, _ = process.communicate()
        return Ran(None, [], said[-2000:])
    finally:
        _running.discard(process)
        shutil.rmtree(root / ".hypothesis", ignore_errors=True)  # what another mutant's examples were
    return Ran(process.returncode, failures(report) if report.exists() else [], said[-2000:])


def end(process: "subprocess.Popen[str]") -> None:
    """pytest has ended, and with it, if it still can, its servers and their folders."""
    for number, patience in ((signal.SIGINT, 15), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(patience)
            return


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each wait for a pytest; whoever interrupts us ends those too: they have sessions of their own."""
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running):
                end(process)
            raise


def failures(report: Path) -> list[tuple[str, str]]:
    """Tests that failed, with why. What could not even be set up is no test that failed."""
    found = []
    for case in ET.parse(report).getroot().iter("testcase"):
        for what in [*case.findall("failure"), *case.findall("error")]:
            message = f"{what.get('message')}\n{what.text}"
            if what.tag == "failure" or "on teardown" in message:
                name = case.get("name") or "?"
                # A test of unittest's kind, as hypothesis makes them of a state machine, is known by its class.
                kind = (case.get("classname") or "").rpartition(".")[2]
                found.append((kind if name == "runTest" else name, message))
    return found


def judge(mutant: Mutant, copy: Copy, original: Path) -> Outcome:
    """Lets the mutant live for as long as its tests run."""
    began = time.monotonic()
    try:
        copy.apply(mutant)
        ran = run_tests(copy.root, mutant.tests, first_failure_only=True)
    finally:
        copy.restore(mutant, original)
    seconds = time.monotonic() - began
    if ran.code is None:
        return Outcome(mutant, mutant.tests[0].rpartition("::")[2], True, seconds, ran.said)
    if ran.code == 1 and ran.failed:
        name, message = ran.failed[0]
        return Outcome(mutant, name.partition("[")[0], "Timeout (>" in message, seconds, ran.said)
    said = "" if ran.code == 0 else f"pytest ended with {ran.code} and no test failed\n{ran.said}"
    return Outcome(mutant, "", False, seconds, said)


def sound(roots: Sequence[Path], mutants: Sequence[Mutant]) -> bool:
    """Whether every test passes that is to fail later; otherwise says which does not."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    shares = [tests[n :: len(roots)] for n in range(len(roots))]
    with workers(len(roots)) as pool:
        given = [(root, share) for root, share in zip(roots, shares, strict=True) if share]
        all_ran = list(pool.map(lambda one: run_tests(one[0], one[1], first_failure_only=False), given))
    for ran in all_ran:
        if ran.code != 0:
            print(f"Without any mutant: {[name for name, _ in ran.failed] or ran.said}", file=sys.stderr)
    return all(ran.code == 0 for ran in all_ran)


def hunt(mutants: Sequence[Mutant]) -> list[Outcome] | None:
    """What became of each; None when the tests fail by themselves."""
    with copies(WORKERS + 1) as (original, *roots):
        began = time.monotonic()
        if not sound(roots, mutants):
            return None
        print(f"Without a mutant all tests pass ({time.monotonic() - began:.0f} s).", flush=True)
        free: SimpleQueue[Copy] = SimpleQueue()
        for root in roots:
            free.put(Copy(root))

        def one(mutant: Mutant) -> Outcome:
            copy = free.get()
            try:
                outcome = judge(mutant, copy, original)
            finally:
                free.put(copy)
            print(f"{outcome.seconds:6.1f} s  {mutant.name}: {outcome.words}", flush=True)
            return outcome

        with workers(WORKERS) as pool:
            return list(pool.map(one, mutants))


def main() -> int:
    """See the head of this file."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Breaks the code on purpose; tests must notice.")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="mutants whose name holds NAME; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="name them, and run nothing")
    parser.add_argument("--write", action="store_true", help="renew the table in the README")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [each for each in MUTANTS if told.only is None or any(name in each.name for name in told.only)]
    if told.list:
        for each in chosen:
            print(f"{each.section:4} {each.name}: {each.rule}")
        return 0
    lost = [each for each in chosen if each.occurrences() != 1 or each.missing_tests()]
    for each in lost:
        print(
            f"{each.name}: {each.occurrences()} places in {each.file}, no test {each.missing_tests()}", file=sys.stderr
        )
    if lost or not chosen:
        return 1
    outcomes = hunt(chosen)
    if outcomes is None:
        return 1
    survivors = [outcome for outcome in outcomes if not outcome.by]
    for outcome in survivors:
        print(f"\nSURVIVED {outcome.mutant.name} ({outcome.mutant.rule})\n{outcome.said}", file=sys.stderr)
    if told.write:
        table.write(MUTANTS, {outcome.mutant.name: outcome.words for outcome in outcomes})
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} caught.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
