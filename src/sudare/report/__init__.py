"""From findings to two self-contained pages: one for the house, one to hand on."""

from sudare.report.page import ReportPaths, as_it_goes, write_report

__all__ = ["ReportPaths", "as_it_goes", "write_report"]
