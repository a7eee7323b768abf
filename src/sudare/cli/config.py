"""``sudare config``: the schema of the TOML files, and the presets."""

from __future__ import annotations

import json
from typing import Literal

from cyclopts import App

app = App(name="config", help="The fields of a configuration file.")


@app.command
def schema(of: Literal["run", "findings"] = "run") -> int:
    """Print the JSON Schema of a run's TOML file, or of findings.json.

    Example: `sudare config schema > sudare.schema.json`

    Args:
        of: run (the TOML file) or findings (the result).

    Returns:
        0.
    """
    from sudare.audits.config import RunConfig
    from sudare.core.findings import Findings

    found = RunConfig.json_schema() if of == "run" else Findings.json_schema()
    print(json.dumps(found, indent=1))
    return 0


@app.command
def figures() -> int:
    """List every figure a gate can name, with what it means.

    Example: `sudare config figures`

    Returns:
        0.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from sudare.audits.checks.registry import declare_figures
    from sudare.core.figures import declared
    from sudare.report.text import explained, finding_name

    declare_figures()
    table = Table("figure", "means", box=SIMPLE_HEAD, pad_edge=False)
    for name in sorted(declared()):
        told = explained(name)
        table.add_row(name, told[1] if told else f"{finding_name(name)}.")
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print("* is an attack or a part; tpr and fpr take a rate: membership.lira.tpr@0.01.")
    return 0


@app.command
def show(preset: str = "demo") -> int:
    """Print a preset or TOML file with every default spelled out.

    Example: `sudare config show lite > my.toml`

    Args:
        preset: smoke, demo, lite, paper or a TOML file.

    Returns:
        0, or 2 after an error.
    """
    from sudare.audits.config import load_config, read_toml
    from sudare.audits.toml import to_toml

    print(to_toml(load_config(read_toml(preset)).model_dump(mode="json")))
    return 0
