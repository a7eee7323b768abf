"""Sections of the page: one file each, named in the registry."""

from sudare.report.sections.base import SECTIONS, Section, explained, pictures_of, sections_of

__all__ = ["SECTIONS", "Section", "explained", "pictures_of", "sections_of"]
