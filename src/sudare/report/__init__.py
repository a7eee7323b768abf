"""From findings to two self-contained pages: one for the house, one to hand on."""

from sudare.report.page import ReportPaths, as_it_goes, write_report
from sudare.report.text import LANGUAGES

__all__ = ["LANGUAGES", "ReportPaths", "as_it_goes", "write_report"]
