"""Sphinx configuration; built in CI with warnings as errors."""

import sys
from pathlib import Path

from sudare import __version__

project = "Sudare"
copyright = "2026, the Sudare authors"
author = "The Sudare authors"
release = version = __version__
sys.path.insert(0, str(Path(__file__).parent / "_ext"))
extensions = ["myst_parser", "mathml"]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "deflist"]
html_theme = "furo"
html_title = "Sudare"
html_static_path = ["_static"]
# Options such as --preset are copied from these pages.
smartquotes = False
exclude_patterns = ["_build"]
