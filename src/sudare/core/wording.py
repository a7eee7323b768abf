"""Words for readers: a text that knows its key, so that it can be said in another language.

English and the other languages are catalogues of the same keys (``report/languages``). What a run
writes down is said in English and keeps key and fields beside the text; a page says it again in
its own language. Text without a key (a name that a user gave, a sentence of another package) is
shown as it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sudare.core.errors import SudareError
from sudare.core.hashing import Json

LANGUAGES = ("en", "ja")
"""Each is a catalogue in ``report/languages``, of the same keys and fields."""

_SPOKEN: ContextVar[str] = ContextVar("language", default="en")
_MOST_FIELDS, _DEEPEST = 400, 4
_LIST, _ROW = "@list", "@row"
"""Keys of texts that are made of others: names in a list, sentences one after the other."""


class Said(str):
    """The sentence of a key with its fields filled in, in the language that was spoken then.

    Attributes:
        key: Its row in every catalogue.
        fields: What fills its braces; a field may be such a text itself.
    """

    key: str
    fields: Mapping[str, str | int]

    def __new__(cls, text: str, key: str, fields: Mapping[str, str | int]) -> Said:
        """Text, and where it comes from; ``say`` makes one."""
        said = super().__new__(cls, text)
        said.key, said.fields = key, fields
        return said

    def __reduce__(self) -> tuple[type[Said], tuple[str, str, Mapping[str, str | int]]]:
        """So that it crosses processes whole."""
        return Said, (str(self), self.key, self.fields)

    def as_json(self) -> dict[str, Json]:
        """Text, key and fields, for a file."""
        told: dict[str, Json] = {"text": str(self), "key": self.key}
        if self.fields:
            told["fields"] = {
                name: value.as_json() if isinstance(value, Said) else value
                for name, value in self.fields.items()
            }
        return told


def say(key: str, /, **fields: str | int) -> str:
    """The sentence of a key with its fields filled in, in the language that is spoken.

    Returns:
        A ``Said``; callers need not know.

    Raises:
        SudareError: No such key, or a field is missing.
    """
    try:
        template = known()[key]
        text = template.format_map({name: _filled(value) for name, value in fields.items()})
    except KeyError as error:
        raise SudareError(
            f"the text {key!r} lacks {error}", fix="Add it to report/languages."
        ) from error
    return Said(text, key, fields)


def reworded(text: str) -> str:
    """A text in the language that is spoken now; what has no key as it is."""
    return refilled(text, text.fields) if isinstance(text, Said) else text


def _filled(field: str | int) -> str:
    return reworded(field) if isinstance(field, str) else str(field)


def refilled(text: Said, fields: Mapping[str, str | int]) -> str:
    """A text with other fields, in the language that is spoken now."""
    if text.key in (_LIST, _ROW):
        made = listed if text.key == _LIST else together
        return made([_filled(field) for field in fields.values()])
    return say(text.key, **fields) if text.key in known() else text


@contextmanager
def spoken(language: str) -> Iterator[None]:
    """Say everything in a language, within the block.

    Raises:
        SudareError: A language there is no catalogue of.
    """
    catalogue(language)
    before = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(before)


def known() -> Mapping[str, str]:
    """The catalogue of the language that is spoken; English unless another one is."""
    return catalogue(_SPOKEN.get())


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Every sentence in a language; of a table the keys are joined by dots.

    Raises:
        SudareError: A language there is no catalogue of.
    """
    if language not in LANGUAGES:
        raise SudareError(
            f"there is no report in {language!r}", fix=f"There is: {', '.join(LANGUAGES)}."
        )
    # Read as a file: no room imports the report.
    place = resources.files("sudare") / "report" / "languages" / f"{language}.toml"
    return dict(_flat(tomllib.loads(place.read_text(encoding="utf-8"))))


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def listed(names: Sequence[str], *, most: int = 1000) -> str:
    """Names as a list in a sentence: "a, b and c"; "a, b; and c" where a name has a comma.

    Of more than ``most`` names the last ones are counted: "a, b and 5 others".
    """
    if not names:
        return say("none")
    if len(names) > most:
        names = [*names[: most - 1], say("list_others", count=len(names) - most + 1)]
    if len(names) == 1:
        return names[0]
    long = "_long" if any("," in name or "\u3001" in name for name in names) else ""
    head = names[0]
    for name in names[1:-1]:
        # Plain text: each step would else say all names before it once more.
        head = str(say(f"list_step{long}", first=head, last=name))
    return _numbered(say(f"list_two{long}", first=head, last=names[-1]), _LIST, names)


def together(sentences: Sequence[str]) -> str:
    """Sentences one after the other; empty ones are left out."""
    told = [sentence for sentence in sentences if sentence]
    if len(told) < 2:
        return "".join(told)
    head = told[0]
    for sentence in told[1:]:
        head = str(say("and_then", first=head, then=sentence))
    return _numbered(head, _ROW, told)


def _numbered(text: str, key: str, parts: Sequence[str]) -> Said:
    """A text of parts that are said again one by one."""
    return Said(str(text), key, {str(at): part for at, part in enumerate(parts)})


class _Wording:
    """How pydantic reads and writes text that may know its key."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        plain = handler(source)
        return core_schema.no_info_wrap_validator_function(
            _read,
            plain,
            serialization=core_schema.plain_serializer_function_ser_schema(
                as_json, when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        told = {
            "type": "object",
            "required": ["text", "key"],
            "properties": {
                "text": {"type": "string", "description": "In English."},
                "key": {"type": "string", "description": "Its row in the catalogues."},
                "fields": {"type": "object", "description": "What fills the row's braces."},
            },
        }
        return {"anyOf": [handler(core_schema.str_schema()), told]}


Wording: TypeAlias = Annotated[str, _Wording]
"""Text for readers in a model: a string, or text, key and fields."""


def as_json(text: str) -> Json:
    """A text for a file: with key and fields where it has them."""
    return text.as_json() if isinstance(text, Said) else str(text)


def from_json(value: object) -> str:
    """A text of a file, whoever wrote it.

    Raises:
        ValueError: Neither a string nor text, key and fields.
    """
    return _read(value, str)


def _read(value: object, plain: Callable[[object], str]) -> str:
    """A text of a file: in the words of this version where it has the key, else as it stands."""
    said = value if isinstance(value, Said) else _told(value, 0)
    # Whatever a field asks of its text (a length) it asks of this one.
    text = plain(str(said) if isinstance(said, Said) else said)
    return said if isinstance(said, Said) else text


def _told(value: object, depth: int) -> object:
    if not isinstance(value, Mapping):
        return value
    text, key, fields = value.get("text"), value.get("key"), value.get("fields", {})
    if not (isinstance(text, str) and isinstance(key, str) and isinstance(fields, Mapping)):
        raise ValueError("a text is a string, or has text, key and fields")
    if len(fields) > _MOST_FIELDS or depth > _DEEPEST or set(value) - {"text", "key", "fields"}:
        raise ValueError("a text has text, key and few fields")
    filled: dict[str, str | int] = {}
    for name, field in fields.items():
        told = _told(field, depth + 1)
        if not isinstance(told, str | int):
            raise ValueError("fields of a text are texts and whole numbers")
        filled[str(name)] = told
    try:
        with spoken("en"):
            said = refilled(Said(text, key, filled), filled)
            return (
                said if isinstance(said, Said) and key in (*catalogue("en"), _LIST, _ROW) else text
            )
    except (SudareError, ValueError, IndexError, AttributeError):
        return text
