"""What an owner's process does with a question, whichever way it came."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from sudare.accounting.ledger import HeldError
from sudare.core.errors import DataError, SudareError
from sudare.routes.federation.silo import Silo
from sudare.routes.federation.wire import LONGEST_REASON, Answer, Question


def answered(
    silo: Silo, question: Question, tensor: torch.Tensor | None
) -> tuple[Answer, torch.Tensor | None]:
    """A silo's answer to a question.

    Raises:
        SudareError: It refuses.
    """
    answer = Answer(kind="answer", number=question.number)
    if question.kind == "farewell":
        silo.keep_statement(question.text)
        return answer, None
    if tensor is None:
        raise DataError("a question without weights")
    if question.kind == "round":
        return answer, silo.update(question.round, tensor)
    records, score = silo.scores(tensor, question.unit)
    return answer.model_copy(update={"records": records, "score": score}), None


def guarded(
    work: Callable[[], tuple[Answer, torch.Tensor | None]], *, number: int, errors: Path
) -> tuple[Answer, torch.Tensor | None]:
    """An answer, or why there is none, in words that say nothing of an owner's images.

    Args:
        work: Makes the answer.
        number: Of the question.
        errors: Where the trace of an error in this program goes; it may hold anything.
    """
    try:
        return work()
    except HeldError:
        return Answer(kind="busy", number=number), None
    except SudareError as error:
        reason = error.what
    except Exception:
        with errors.open("a") as log:
            errors.chmod(0o600)
            log.write(traceback.format_exc())
        reason = "its program failed; the owner's errors.log says why"
    return Answer(kind="refused", number=number, reason=reason[:LONGEST_REASON]), None
