"""The answer: what to do with each release, what was asked, found, and what that means."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Answers, Block, Folded, Paragraph
from sudare.report.decisions import decisions_table, first_sentences
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.verdict import verdict


def sections(run: Run) -> Sequence[Section]:
    """Decisions and the lines behind them; the verdict in full below."""
    told = verdict(run)
    decided = None if run.summary.null_control else decisions_table(run)
    blocks: list[Block] = [decided] if decided is not None else []
    blocks += [Paragraph(sentence, "first") for sentence in first_sentences(run)]
    if told.control:
        blocks.append(Paragraph(told.control, "warning", label=say("l_control")))
    rows = [(say(f"l_{name}"), getattr(told, name)) for name in ("asked", "found", "means")]
    if told.gates:
        rows.append((say("l_gates"), told.gates))
    first = (say("l_answer"), told.answer, told.rule) if told.answer else None
    blocks.append(Folded(say("in_full"), [Answers(rows, first)], opened=decided is None))
    return [Section(name="verdict", title=say("verdict"), blocks=blocks, place="answer")]
