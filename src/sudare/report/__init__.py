"""From findings to two self-contained pages: one for the house, one to hand on."""

from sudare.core.wording import LANGUAGES
from sudare.report.page import ReportPaths, as_it_goes, write_report

__all__ = ["LANGUAGES", "ReportPaths", "as_it_goes", "write_report"]
