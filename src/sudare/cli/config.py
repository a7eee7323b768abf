"""``sudare config``: the schema of the TOML files, and the presets."""

from __future__ import annotations

import json

from cyclopts import App

__all__ = ["app"]

app = App(name="config", help="The fields of a configuration file.")


@app.command
def schema() -> int:
    """Print the JSON Schema of a run's TOML file, for editors and for reading.

    Example: `sudare config schema > sudare.schema.json`

    Returns:
    -------
    int
        0.
    """
    from sudare.audits.config import RunConfig

    print(json.dumps(RunConfig.json_schema(), indent=1))
    return 0


@app.command
def show(preset: str = "demo") -> int:
    """Print a preset or TOML file with every default spelled out.

    Example: `sudare config show lite > my.toml`

    Parameters
    ----------
    preset
        smoke, demo, lite, paper or a TOML file.

    Returns:
    -------
    int
        0, or 2 after an error.
    """
    from sudare.audits.config import load_config, read_toml
    from sudare.audits.toml import to_toml

    print(to_toml(load_config(read_toml(preset)).model_dump(mode="json")))
    return 0
