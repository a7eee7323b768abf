"""Fixed nets that turn images into features; nothing in them is learned here."""

from sudare.nets.extractors.config import ExtractorConfig

__all__ = ["ExtractorConfig"]
