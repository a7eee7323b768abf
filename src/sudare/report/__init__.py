"""From findings to two self-contained pages: one for the house, one to hand on."""

from sudare.report.page import ReportPaths, write_report

__all__ = ["ReportPaths", "write_report"]
