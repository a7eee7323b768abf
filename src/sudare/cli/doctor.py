"""``sudare doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["doctor"]

EXTRAS = {
    "federation": ("grpcio", "train where the data are"),
    "flower": ("flwr", "the same on Flower"),
    "ray": ("ray", "spread builds over several machines"),
    "foundation": ("transformers", "features from published vision models"),
}
CORE = ("torch", "opacus", "numpy", "scipy", "scikit-learn", "pydantic", "altair")


def doctor() -> int:
    """Say what works on this machine, what is missing and how to get it.

    Returns:
        0 if everything the core needs is there, else 2.
    """
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
