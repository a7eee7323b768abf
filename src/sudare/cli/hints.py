"""What to write instead of words that a command does not take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cyclopts import CycloptsError

_INSTEAD = {
    "--require": "Requirements are asked of a finished run: sudare report RUN --require.",
    "--gates": "A gate is --fail-on.",
    "--gate": "A gate is --fail-on.",
    "--image-size": "Write --set data.image_size=32.",
    "--builds": "Write --set fleet.builds=16.",
    "--quiet": "Progress goes to the error output: 2> progress.txt.",
    "--json": "Results are files: findings.json and run.json in the run folder.",
    "--lang": "Pages are written in both languages: sudare report RUN --lang ja.",
}
_TAKES_DATA = ("compare", "release", "federate")
_GUESS = re.compile(r" Did you mean ([^?]+)\?")
_CLOSE = 0.75


def hinted(error: CycloptsError, words: Sequence[str]) -> str:
    """The message of an error in what was typed, with what to write instead.

    Args:
        error: What cyclopts refused.
        words: What was typed after ``sudare``.
    """
    from difflib import SequenceMatcher

    message = " ".join(str(error).split())
    unused = [str(token) for token in getattr(error, "unused_tokens", None) or ()]
    option = next((word for word in words if f"option: {word.partition('=')[0]}." in message), "")
    if option.partition("=")[0] in _INSTEAD:
        return _GUESS.sub("", message) + " " + _INSTEAD[option.partition("=")[0]]
    guess = _GUESS.search(message)
    if option and guess and SequenceMatcher(None, option, guess[1]).ratio() < _CLOSE:
        return _GUESS.sub("", message) + " --help lists what there is."
    if unused:
        return f"{message} {_bare(unused[0], words)}".strip()
    if "requires an argument" in message and words[:1] == ["open"]:
        return f"{message} Give the folder of a release, such as runs/demo/releases/plain."
    return message


def _bare(word: str, words: Sequence[str]) -> str:
    """The option that was left out before a word."""
    from sudare.audits.config import PRESETS
    from sudare.data.sources import CATALOGUE

    if word in PRESETS:
        return f"Write --preset {word}."
    if words[:1] and words[0] in _TAKES_DATA and (word in CATALOGUE or Path(word).exists()):
        option = "--preset" if word.endswith(".toml") else "--data"
        return f"Write {option} {word}."
    return ""
