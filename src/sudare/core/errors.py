"""Errors that say what was wrong, where, and what to do, in that order."""

from __future__ import annotations


class SudareError(Exception):
    """Base of every error a user can cause or mend.

    Args:
        what: What was wrong, as one clause without a full stop.
        where: The file, field or object it concerns.
        fix: What to do about it, as one sentence.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        message = what + (f" ({where})" if where else "") + "."
        super().__init__(f"{message} {fix}" if fix else message)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts when the error crosses from a worker process."""
        return _rebuild, (type(self), self.what, self.where, self.fix)


def _rebuild(kind: type[SudareError], what: str, where: str, fix: str) -> SudareError:
    return kind(what, where=where, fix=fix)


class DataError(SudareError):
    """Images, labels or units that cannot be used."""


class ConfigError(SudareError):
    """A configuration that does not fit its schema or its data."""


class ReleaseError(SudareError):
    """A release folder that is not what it says, or not safe to read."""


class BudgetError(SudareError):
    """A privacy budget that would be overspent."""


class CacheError(SudareError):
    """A cache that cannot be read or written."""


class AuditError(SudareError):
    """An audit that cannot be planned or run."""


class NotEvaluableError(AuditError):
    """A question the given data cannot answer; exit status 3, not 2."""


class MissingExtraError(SudareError):
    """An optional dependency that is not installed."""
