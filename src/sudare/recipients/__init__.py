"""What a receiver does with a release. ``sudare.recipients.train`` needs torch."""

from sudare.recipients.config import RecipientConfig

__all__ = ["RecipientConfig"]
