"""What code a piece of work can reach: its import closure, hashed for the key of its entry."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

_OWN = "sudare"
_TRIES = 20


@cache
def fingerprint(roots: tuple[str, ...]) -> dict[str, str]:
    """Hash of the sources that some modules can reach, and versions of what these import.

    Rows of registries are dotted names that no import shows: name their modules as roots too.

    Args:
        roots: Dotted names of modules; those outside this package count with their own file.
    """
    modules, foreign = closure(roots)
    digest = hashlib.sha256()
    for module, path in sorted(modules.items()):
        digest.update(module.encode() + b"\0" + path.read_bytes())
    versions = {name: version for name in sorted(foreign) if (version := _version(name))}
    return {"sources": digest.hexdigest(), "python": f"{sys.version_info.minor}", **versions}


def closure(roots: tuple[str, ...]) -> tuple[dict[str, Path], set[str]]:
    """Modules that are reached, with their files, and the packages of others they import.

    Imports inside functions count, those for type checkers do not. A package's ``__init__`` runs
    when anything in it is imported, and is followed like any other module.
    """
    modules: dict[str, Path] = {}
    foreign: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        # The package itself only hands on names; what is behind them is imported by name here.
        if name in modules or name == _OWN:
            continue
        own = name.partition(".")[0] == _OWN
        if not own and name not in roots:
            foreign.add(name.partition(".")[0])
            continue
        path, imports = _looked_at(name)
        if path is None:
            continue
        modules[name] = path
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent and parent != _OWN else []
        waiting += imports
    return modules, foreign - set(sys.stdlib_module_names)


@cache
def _looked_at(name: str) -> tuple[Path | None, tuple[str, ...]]:
    """The file of a module and what it imports; parsed once, however many closures it is in."""
    path = _file_of(name)
    if path is None:
        return None, ()
    return path, tuple(_imports(path, package=path.name == "__init__.py", name=name))


def _file_of(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    origin = spec.origin if spec is not None else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _tree(text: str) -> ast.Module:
    """The syntax tree of a source.

    CPython 3.11 counts the depth of trees for all threads together: where another thread reads the
    header of an array meanwhile (numpy parses it as a literal), the count is off and it gives up.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(SystemError):
            return ast.parse(text)
    return ast.parse(text)


def _imports(path: Path, *, package: bool, name: str) -> Iterator[str]:
    for node in _run_nodes(_tree(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = name.split(".")[: len(name.split(".")) - node.level + package]
                base = ".".join([*above, *([base] if base else [])])
            yield base
            # Whether a name is a module or something in one is seen when it is looked for.
            if base.partition(".")[0] == _OWN:
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _run_nodes(other)
            continue
        yield node
        yield from _run_nodes(node)


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: list(found) for name, found in metadata.packages_distributions().items()}


def _version(package: str) -> str:
    found = _distributions().get(package, [])
    return metadata.version(found[0]) if found else ""
