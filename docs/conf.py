"""Sphinx configuration; built in CI with warnings as errors."""

from sudare import __version__

project = "Sudare"
copyright = "2026, the Sudare authors"
author = "The Sudare authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "deflist"]
html_theme = "furo"
html_title = "Sudare"
html_static_path = ["_static"]
# Options such as --preset are copied from these pages.
smartquotes = False
exclude_patterns = ["_build"]
