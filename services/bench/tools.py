"""The load generators: compiled from services/bench/c where a C compiler exists, else their Python stand-ins.

Compiled at bench time into a folder that the bench throws away, so nothing binary is installed. The stand-ins do the
same at a tenth of the rate, hence the warning: with them the generator may be the bottleneck.
"""

import contextlib
import json
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

SOURCES = Path(__file__).with_name("c")
START_PATIENCE = 60.0
"""Seconds for all sockets of a reader to be live; 5,000 take about five."""

Report = dict[str, Any]


class ToolFailed(RuntimeError):
    """A load generator ended early or said nothing; the message is what it said."""


class Tools:
    """Command lines of the generators, and `warning` when they are not the C ones (None: they are)."""

    def __init__(self, folder: Path, *, compiler: str | None = None) -> None:
        self.folder = folder
        self.warning: str | None = None
        compiler = compiler or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        self._commands = {name: [sys.executable, "-m", "services.bench.standin", name] for name in _PROGRAMS}
        self.compiled = False
        if compiler is None:
            self.warning = "No C compiler: Python generates the load, and may be the bottleneck."
            return
        for name in _PROGRAMS:
            said = _compiled(compiler, SOURCES / f"{name}.c", folder / name)
            if said is not None:
                self.warning = f"{compiler} can't build {name}.c, Python stands in and may be the bottleneck: {said}"
                continue
            self._commands[name] = [str(folder / name)]
        self.compiled = self.warning is None

    def command(self, name: str, *arguments: str | int | float) -> list[str]:
        """The command line of a generator."""
        return [*self._commands[name], *map(str, arguments)]

    def run(self, name: str, *arguments: str | int | float, timeout: float) -> Report:
        """What a generator that ends by itself printed. Raises ToolFailed."""
        command = self.command(name, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603
        if done.returncode != 0 or not done.stdout:
            raise ToolFailed(f"{name} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        report: Report = json.loads(done.stdout)
        return report


_PROGRAMS = ("reader", "load", "rawwrite")


def _compiled(compiler: str, source: Path, target: Path) -> str | None:
    """None when it was built, else what the compiler said."""
    command = [compiler, "-O2", "-o", str(target), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip()[-300:]


class Worker:
    """A child that takes commands on stdin, a line each, and answers in lines of JSON. Its stdin ends with us."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self.pid = self._process.pid

    def tell(self, line: str) -> None:
        """Send one command. Raises ToolFailed when the child is gone."""
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ToolFailed(f"a generator ended with {self._process.wait(5)}") from None

    def answer(self, timeout: float) -> Report:
        """The next line it prints. Raises ToolFailed when none comes in time, or it ended."""
        out = self._process.stdout
        assert out is not None  # noqa: S101
        if not select.select([out], [], [], timeout)[0]:
            raise ToolFailed(f"a generator said nothing for {timeout:g} s")
        line = out.readline()
        if not line:
            raise ToolFailed(f"a generator ended with {self._process.wait(5)}")
        report: Report = json.loads(line)
        return report

    def ask(self, line: str, timeout: float = 10) -> Report:
        """The answer to a command."""
        self.tell(line)
        return self.answer(timeout)

    def end(self) -> None:
        """It is gone. Twice is safe."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Readers(Worker):
    """Many live sockets in one process. `opening` is its report once every socket was live or closed."""

    def __init__(
        self,
        tools: Tools,
        port: int,
        sockets: int,
        hellos: list[bytes],
        start: Literal["at-once", "together"] = "at-once",
    ) -> None:
        file = tools.folder / f"hellos-{time.monotonic_ns()}"
        file.write_bytes(b"\n".join(hellos))
        super().__init__(tools.command("reader", port, sockets, str(file), start))
        try:
            self.opening = self._opened(sockets)
        except BaseException:
            self.end()
            raise
        finally:
            file.unlink()

    def _opened(self, sockets: int) -> Report:
        try:
            report = self.answer(START_PATIENCE)
        except ToolFailed:
            report = self.ask("report")
        if report["live"] != sockets:
            raise ToolFailed(
                f"{report['live']} of {sockets} sockets are live after {START_PATIENCE:g} s at most; closed by code: "
                f"{report['codes']}; first complaint: {report['sample'] or 'none'}"
            )
        return report

    def measure(self, since_us: int, until_us: int) -> None:
        """Count from now on, latencies of events stamped in [since, until) microseconds since 1970."""
        self.tell(f"measure {since_us} {until_us}")

    def report(self) -> Report:
        """What was read since `measure`."""
        return self.ask("report")


def python_worker(module: str, *arguments: str) -> Worker:
    """A Worker that is a module of ours."""
    return Worker([sys.executable, "-m", module, *arguments])
