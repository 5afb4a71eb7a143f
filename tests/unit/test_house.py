"""The house of the design, asserted from the code's own imports."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 300
"""Lines past which a second noun is hiding in a file; ROOM is for one noun with many words."""
ROOM = 20

COMPOSITION_ROOTS = re.compile(
    r"services\.(feed|notify)\.(app|publish|serve|demo)|services\.(up|cli)|services\.commands\..*"
)


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for top in ("shared", "services"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str, *, lazy: bool = True) -> frozenset[str]:
    """What of ours the module imports; without `lazy` only what it imports when it is imported itself."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    nodes = ast.walk(ast.parse(path.read_text())) if lazy else _at_import(ast.parse(path.read_text()))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            submodules = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in modules()]
            found.update(submodules or [base])
    return frozenset(name for name in found if name in modules() and name != module)


def _at_import(tree: ast.AST) -> list[ast.AST]:
    """The nodes that run on import: no function bodies, no type-checking blocks."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found += [node, *_at_import(node)]
    return found


def floor(module: str) -> str:
    """Which part of the house a module stands in."""
    parts = module.split(".")
    return parts[0] if parts[0] == "shared" or len(parts) == 1 else ".".join(parts[:2])


def offenders(rule: str, *pairs: tuple[str, str]) -> str:
    return f"{rule}:\n" + "\n".join(f"  {importer} imports {imported}" for importer, imported in pairs)


def every_import() -> list[tuple[str, str]]:
    return [(module, imported) for module in modules() for imported in sorted(imports(module))]


def test_the_readers_of_this_test_see_imports_at_all() -> None:
    assert "shared.settings" in imports("services.feed.settings")
    assert len(every_import()) > 30


def test_shared_knows_no_service() -> None:
    wrong = [pair for pair in every_import() if pair[0].startswith("shared") and pair[1].startswith("services")]
    assert not wrong, offenders("shared imports no service", *wrong)


def test_feed_and_notify_never_import_each_other() -> None:
    sides = {"services.feed", "services.notify"}
    wrong = [(a, b) for a, b in every_import() if {floor(a), floor(b)} == sides]
    assert not wrong, offenders("feed and notify never import each other", *wrong)


def test_a_service_imports_nothing_of_the_platform_that_starts_it() -> None:
    names = ("cli", "commands", "embedded", "installation", "outcome", "supervisor", "up")
    platform = {f"services.{name}" for name in names}
    wrong = [
        (a, b)
        for a, b in every_import()
        if floor(a) in ("services.feed", "services.notify")
        and (floor(b) in platform or floor(b) == "services.commands")
    ]
    assert not wrong, offenders("services don't know what starts them", *wrong)


@pytest.mark.parametrize("service", ["feed", "notify"])
def test_rooms_never_import_the_door(service: str) -> None:
    doors = re.compile(rf"services\.{service}\.(api(\..*)?|[a-z]+\.api)$")
    wrong = [
        (a, b)
        for a, b in every_import()
        if doors.match(b) and not doors.match(a) and not COMPOSITION_ROOTS.fullmatch(a)
    ]
    assert not wrong, offenders("api → rooms → sql, never upward", *wrong)


def test_only_composition_roots_are_wired_from_outside() -> None:
    """app, publish and serve meet everything, so nothing below may import them."""
    roots = re.compile(r"services\.(feed|notify)\.(app|publish|serve)")
    wrong = [(a, b) for a, b in every_import() if roots.fullmatch(b) and not COMPOSITION_ROOTS.fullmatch(a)]
    wrong = [(a, b) for a, b in wrong if not a.startswith("services.bench")]
    assert not wrong, offenders("only the command line imports a composition root", *wrong)


def test_only_shared_web_and_the_doors_speak_http() -> None:
    allowed = re.compile(
        r"shared\.(web.*|decoding)|services\.(feed|notify)\.(app|serve)|services\.(feed|notify)\.([a-z_]+\.)?api(\..*)?"
        r"|services\.notify\.live(\..*)?|services\.bench(\..*)?"
    )
    wrong = [
        module
        for module, path in modules().items()
        if re.search(r"^\s*(from|import) (litestar|starlette|uvicorn)\b", path.read_text(), re.MULTILINE)
        and not allowed.fullmatch(module)
    ]
    assert not wrong, f"rooms decide and know no HTTP: {wrong}"


def test_imports_run_in_no_circle() -> None:
    """Between modules, when they are imported; and between the packages of a service likewise."""
    state: dict[str, int] = {}

    def walk(module: str, way: list[str]) -> None:
        if state.get(module) == 2:
            return
        assert state.get(module) != 1, f"a circle: {' → '.join([*way[way.index(module) :], module])}"
        state[module] = 1
        for imported in sorted(imports(module, lazy=False)):
            walk(imported, [*way, module])
        state[module] = 2

    for module in modules():
        walk(module, [])


def test_a_file_holds_one_noun() -> None:
    paths = [*modules().values(), *(ROOT / "tests").rglob("*.py")]
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    long = {name: size for name, size in sizes.items() if size > LONGEST_FILE + ROOM}
    assert not long, f"split by noun: {long}"


def test_modules_say_what_they_own_in_five_lines() -> None:
    wrong = {}
    for module, path in modules().items():
        head = ast.get_docstring(ast.parse(path.read_text()))
        if path.name == "__init__.py" and not path.read_text().strip():
            continue
        if head is None or len(head.splitlines()) > 5:
            wrong[module] = "no head" if head is None else f"{len(head.splitlines())} lines"
    assert not wrong, wrong


def test_nothing_is_named_after_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
    assert not [module for module in modules() if module.rpartition(".")[2] in empty]


def test_nothing_names_a_place_outside_the_repository() -> None:
    ours = Path(__file__)
    wrong = [
        str(path.relative_to(ROOT))
        for top in ("shared", "services", "tests")
        for path in (ROOT / top).rglob("*.py")
        if path != ours and re.search(r"\.\./shared\b|/work/|/root/", path.read_text())
    ]
    assert not wrong


def test_no_statement_of_ours_notifies() -> None:
    """Its commit takes a lock that all writers of a server share (DESIGN.md section 4): the wake goes through Redis."""
    says = {
        "*.sql": r"(?im)\bpg_notify\s*\(|^\s*NOTIFY\s+\w+\s*[,;]",
        "*.py": r"\bpg_notify\s*\(|[\"']\s*NOTIFY\s+\w",
    }
    wrong = [
        str(path.relative_to(ROOT))
        for top in ("shared", "services")
        for kind, pattern in says.items()
        for path in (ROOT / top).rglob(kind)
        if re.search(pattern, path.read_text())
    ]
    assert not wrong
