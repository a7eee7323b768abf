"""The house keeps its shape: no import goes in a circle, and only faces of packages list names."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"


def module_of(path):
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_of(path): path for path in SRC.rglob("*.py")}


def at_run_time(tree):
    """Every node but those for type checkers; imports inside functions count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_run_time(node)


def imported(path):
    for node in at_run_time(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in MODULES else node.module


def test_no_import_goes_in_a_circle():
    graph = {
        name: {other for other in imported(path) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    assert sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from error


def test_names_are_listed_in_faces_of_packages_only():
    """187 of 919 names in lists of private modules were imported by nobody."""
    listing = {
        name
        for name, path in MODULES.items()
        if path.name != "__init__.py"
        and any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            for node in ast.parse(path.read_text()).body
        )
    }
    assert listing == set()


def test_no_module_keeps_a_dictionary_that_grows():
    """What is equal for all builds of a pool has a place of its own (`prepare_pool`)."""
    growing = []
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        empty = {
            ast.unparse(node.target)
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.value, ast.Dict)
            and not node.value.keys
        }
        growing += [f"{name}.{found}" for found in sorted(empty)]
    assert growing == []
