"""What every section of the configuration is made of: strict checks, and kinds of text that they share."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from spxarb.config.paths import user_path
from spxarb.core.printable import from_outside


def _path(value: object) -> object:
    return user_path(value) if isinstance(value, str) and value.strip() else value


FilePath = Annotated[Path, BeforeValidator(_path)]
MOST_TEXT = 1000
"""Characters of a text: a name, a host, some addresses."""


def text_problem(text: object) -> str:
    """Why the text cannot be meant, in words; empty when it can, and for what is none."""
    if not isinstance(text, str):
        return ""
    if len(text) > MOST_TEXT:
        return f"it has {len(text):,} characters, and at most {MOST_TEXT:,} are wanted"
    if from_outside(text, MOST_TEXT, words=False) != text:
        return "a line break or another character that cannot be seen is in it"
    return ""


def _text(value: object) -> object:
    if why := text_problem(value):
        raise ValueError(why)
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text)]


def json_number(value: Decimal) -> float | int:
    """Whole numbers without a point."""
    return int(value) if value == value.to_integral_value() else float(value)


def json_time(value: time) -> str:
    """`09:35`, with seconds where there are any."""
    return value.isoformat("seconds" if value.second else "minutes")


class Section(BaseModel):
    """One mapping of the file. Its checks are built when something in it is set: most are defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    def in_json(self) -> dict[str, object]:
        """Its values in JSON's types, as the library dumps them, whose serializer takes long to build.

        For sections of single values: texts, numbers, times and paths.
        """
        return {name: _in_json(value) for name, value in vars(self).items()}


def _in_json(value: object) -> object:
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, time):
        return json_time(value)
    return str(value) if isinstance(value, Path) else value
