"""Commands: they parse, call, print and exit; there is no logic here."""

from sudare.cli.app import main

__all__ = ["main"]
