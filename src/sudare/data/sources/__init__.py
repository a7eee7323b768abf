"""Named sources of images, and the user's own folders and files."""

from sudare.data.sources.catalogue import CATALOGUE, Entry
from sudare.data.sources.registry import SOURCES, about, at_hand, load_source, named_sources
from sudare.data.sources.source import Source

__all__ = [
    "CATALOGUE",
    "SOURCES",
    "Entry",
    "Source",
    "about",
    "at_hand",
    "load_source",
    "named_sources",
]
