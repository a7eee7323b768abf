"""``sudare doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from pathlib import Path

EXTRAS = {
    "federation": ("grpcio", "train where the data are"),
    "flower": ("flwr", "the same on Flower"),
    "ray": ("ray", "spread builds over several machines"),
    "foundation": ("transformers", "features from published vision models"),
}
CORE = ("torch", "opacus", "numpy", "scipy", "scikit-learn", "pydantic", "altair")


def doctor(*folders: Path, security: bool = False) -> int:
    """Say what works on this machine, what is missing and how to get it.

    With `--security` it says instead what of `docs/security.md` holds here: who may read the
    cache, what is remembered of ledgers, runs and keys, which telemetry is on, and which ports
    running jobs have open.

    Examples:
    `sudare doctor`

    `sudare doctor --security runs/demo`

    Args:
        folders: With `--security`, what to look through: runs, releases, owners' folders; every
            folder below this one that Sudare wrote by default.
        security: Look at modes, keys, telemetry and open ports.

    Returns:
        0 if everything the core needs is there (or, with `--security`, all holds), else 2.
    """
    if security:
        return _security(folders)
    import os
    from importlib import metadata

    from rich.console import Console
    from rich.table import Table

    from sudare.core.files import default_cache
    from sudare.core.machine import cores

    table = Table(title="sudare doctor", show_lines=False)
    for column in ("what", "state", "what to do"):
        table.add_column(column)
    healthy = True
    for name in CORE:
        try:
            table.add_row(name, f"[green]{metadata.version(name)}[/]", "")
        except metadata.PackageNotFoundError:
            healthy = False
            table.add_row(name, "[red]missing[/]", "pip install --force-reinstall sudare")
    for extra, (package, use) in EXTRAS.items():
        try:
            table.add_row(f"{extra}: {use}", f"[green]{metadata.version(package)}[/]", "")
        except metadata.PackageNotFoundError:
            table.add_row(f"{extra}: {use}", "not installed", f"pip install 'sudare\\[{extra}]'")
    cache = default_cache()
    writable = os.access(cache if cache.exists() else _existing_parent(cache), os.W_OK)
    state = "[green]writable[/]" if writable else "[red]not writable[/]"
    table.add_row(f"cache {cache}", state, "" if writable else "set SUDARE_CACHE")
    table.add_row("cores", str(cores()), "")
    table.add_row("GPU", _gpu(), "")
    lacking = _no_compiler()
    table.add_row(
        "generated code for long trainings",
        lacking or "[green]a C++ compiler is there[/]",
        "install g++ and the Python headers; without, training is slower" if lacking else "",
    )
    Console().print(table)
    return 0 if healthy and writable else 2


def _security(folders: tuple[Path, ...]) -> int:
    """What of the promises holds on this machine."""
    import os

    from rich.console import Console
    from rich.table import Table

    from sudare.accounting.witness import state_folder
    from sudare.core.errors import ConfigError
    from sudare.core.exposure import exposure
    from sudare.core.files import default_cache

    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise ConfigError("there is no such folder", where=", ".join(missing))
    seen = exposure(
        folders or _written_here(),
        cache=default_cache(),
        state=state_folder(),
        environment=dict(os.environ),
    )
    table = Table(title="sudare doctor --security", show_lines=False)
    for column in ("what", "state", "what to do"):
        table.add_column(column, overflow="fold")
    for each in seen:
        colour = "green" if each.holds else "red"
        table.add_row(
            _plain(each.what),
            f"[{colour}]{_plain(each.state)}[/]",
            "" if each.holds else _plain(each.fix),
        )
    Console().print(table)
    return 0 if all(each.holds for each in seen) else 2


def _plain(text: str) -> str:
    """A name in brackets is no colour, nor may it act on the terminal."""
    from rich.markup import escape

    from sudare.core.printable import escaped

    return escape(escaped(text))


def _written_here() -> tuple[Path, ...]:
    """Runs, private parts of releases and owners' folders below this one."""
    here = Path()
    return tuple(
        sorted(
            path
            for pattern in ("runs/*", "releases/*", "federation-*")
            for path in here.glob(pattern)
            if path.is_dir()
        )
    )


def _existing_parent(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _no_compiler() -> str:
    try:
        from sudare.training.compiled import missing_compiler
    except ImportError:
        return "unknown, torch is missing"
    return missing_compiler()


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown, torch is missing"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none, CPU is used"
