"""The words of the page: the same rows in every language, each asked for, none of them in code."""

from __future__ import annotations

import ast
import pickle
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from sudare.attacks.registry import EVASION, MEMBERSHIP_TESTS
from sudare.audits.checks.registry import CHECKS, declare_figures
from sudare.core.figures import Figure, declared
from sudare.core.runs import Mode
from sudare.core.threats import threats_known
from sudare.core.wording import LANGUAGES, Said, catalogue, listed, reworded, say, spoken, together
from sudare.releases.registry import KINDS, kind_class
from sudare.report.sections import SECTIONS
from sudare.valuation.payouts import RULES

SOURCES = Path(__file__).parents[2] / "src" / "sudare"
OTHERS = [code for code in LANGUAGES if code != "en"]
TREES = {path: ast.parse(path.read_text()) for path in sorted(SOURCES.rglob("*.py"))}
# Rows whose keys hold an id: that each id has its row is asked below.
BY_ID = ("attack.", "canary.", "check.", "figure.", "threat.", "rule.", "option.")


def fields_of(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_says_everything_with_the_same_fields(language: str):
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    assert [key for key, text in english.items() if fields_of(text) != fields_of(other[key])] == []
    assert all(text.strip() for text in (*english.values(), *other.values()))


def test_fields_are_names_and_nothing_else():
    """A run's file may come from anybody: a width, an index or an attribute is no field."""
    for language in LANGUAGES:
        for text in catalogue(language).values():
            for _, field, spec, conversion in string.Formatter().parse(text):
                assert field is None or (field.isidentifier() and not spec and not conversion)


def test_every_japanese_row_is_japanese():
    """Names that the field writes in Latin letters stay; a phrase of English words does not."""
    phrase = re.compile(r"[a-z]+(?: [a-z]+){2,}")
    assert {key: text for key, text in catalogue("ja").items() if phrase.search(text)} == {}


def constants(node: ast.AST) -> Iterator[str]:
    """Patterns of the texts in an expression; what is filled in may be anything."""
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            yield "".join(
                re.escape(str(piece.value)) if isinstance(piece, ast.Constant) else r"[\w.+-]*"
                for piece in part.values
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield re.escape(part.value)


def test_every_row_is_asked_for_somewhere():
    asked = {pattern for tree in TREES.values() for pattern in constants(tree) if pattern}
    for path in (SOURCES / "report" / "templates").glob("*.j2"):
        asked |= {re.escape(key) for key in re.findall(r"say\([\"'](\w+)[\"']", path.read_text())}
    whole = {re.sub(r"\\(.)", r"\1", pattern) for pattern in asked}
    # A pattern of nothing but what is filled in asks for no row.
    partly = [re.compile(p) for p in asked if "[\\w.+-]*" in p and re.match(r"[a-z]", p)]

    def is_asked(key: str) -> bool:
        return key in whole or any(pattern.fullmatch(key) for pattern in partly)

    modes = tuple(f"_{mode.value}" for mode in Mode)
    unused = [
        key
        for key in catalogue("en")
        if not key.startswith(BY_ID)
        and not is_asked(key)
        and not any(key.endswith(mode) and is_asked(key.removesuffix(mode)) for mode in modes)
    ]
    assert unused == []


def test_every_key_that_is_said_has_a_row():
    missing = []
    for path, tree in TREES.items():
        for call in ast.walk(tree):
            name = (
                call.func.id
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                else ""
            )
            if name == "say" and call.args:
                first = call.args[0]
                if isinstance(first, ast.Constant) and first.value not in catalogue("en"):
                    missing.append((path.name, first.value))
    assert missing == []


def row_of(figure: str) -> str:
    """The figure's own row, else that of its family."""
    room, _, rest = figure.partition(".")
    own = f"figure.{figure}.name" in catalogue("en")
    return figure if own else f"{room}.*.{rest.partition('.')[2]}"


def named(before: str) -> set[str]:
    return {row.removeprefix(before) for row in catalogue("en") if row.startswith(before)}


def test_every_id_has_its_words():
    declare_figures()
    rows = catalogue("en")
    figures = {name.rpartition(".")[0] for name in named("figure.")}
    assert figures == {row_of(name) for name in declared()}
    short, meaning = (
        {name for name in figures if f"figure.{name}.{part}" in rows}
        for part in ("short", "meaning")
    )
    assert short == meaning
    kinds = [kind_class(kind) for kind in KINDS]
    known = {threat.id for threat in (*threats_known(), *(t for k in kinds for t in k.threats))}
    assert {name.rpartition(".")[0] for name in named("threat.")} == known
    assert {*MEMBERSHIP_TESTS, "given"} == named("attack.membership.")
    assert {*EVASION, "autoattack"} == named("attack.evasion.")
    assert {*CHECKS, "canaries"} == named("check.")
    assert set(RULES) == named("rule.")


def texts_in_code(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of an expression that are no docstring and no sentence of an error."""
    left = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            left |= {id(line.value) for line in body if isinstance(line, ast.Expr)}
        called = getattr(getattr(node, "func", None), "id", "")
        if isinstance(node, ast.Raise) or called.endswith("Error"):
            left |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left:
            yield node.lineno, node.value


def test_no_section_figure_or_sentence_is_a_literal():
    """Two words beside each other are a phrase; marks, fonts and the way out of an error stay."""
    known = ("Helvetica, Arial", "<svg", "Give the folder", "There are:")
    found = [
        (str(path.relative_to(SOURCES)), line, text)
        for path, tree in TREES.items()
        if "report" in path.parts or path.name in ("figures.py", "threats.py")
        for line, text in texts_in_code(tree)
        if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text) and not text.strip().startswith(known)
    ]
    descriptions = {
        id_text
        for path, tree in TREES.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "description"
        for _, id_text in texts_in_code(word.value)
    }
    assert [one for one in found if one[2] not in descriptions] == []


SAID = ("reason", "method", "what_leaves", "guarantee", "caption", "explanation", "meaning", "sees")


def test_what_a_run_says_of_itself_is_a_row_too():
    found = []
    for path, tree in TREES.items():
        for call in ast.walk(tree):
            for word in call.keywords if isinstance(call, ast.Call) else ():
                literal = isinstance(word.value, ast.Constant | ast.JoinedStr)
                text = "".join(constants(word.value)) if literal else ""
                if word.arg in SAID and re.search(r"[A-Za-z]{2}\\? [A-Za-z]", text):
                    found.append((str(path.relative_to(SOURCES)), call.lineno, word.arg))
    assert found == []


def test_a_text_is_said_again_with_all_that_it_is_made_of():
    inner = listed([say("check.copies"), say("check.evasion"), "my own"])
    told = together([say("limit.families", ran=inner), say("limit.withheld")])
    with spoken("ja"):
        again = reworded(told)
        assert "複製の探索、回避攻撃、my own" in again
        assert "of attack" not in again
    assert reworded(again) == told
    assert isinstance(told, Said)
    assert reworded("plain") == "plain"


def test_another_package_s_figure_keeps_its_own_words():
    own = Figure(
        id="shift.drop", name="Lost where {attack} moved", short="Lost", meaning="So much."
    )
    assert own.name.format(attack="light") == "Lost where light moved"
    assert "figure.shift.drop.name" not in catalogue("en")


def test_every_section_of_the_registry_is_a_function_of_a_run():
    assert all(callable(SECTIONS.load(name)) for name in SECTIONS)


def test_a_list_of_a_thousand_names_is_said_and_said_again():
    names = [f"class {number}" for number in range(1000)]
    told = listed(names)
    assert told.startswith("class 0, class 1,")
    with spoken("ja"):
        assert reworded(told).count("\u3001") == 999
    assert pickle.loads(pickle.dumps(told)).key == told.key
