"""`docs/json/`: a JSON Schema of every command's object, written from the result types so that it cannot rot.

A field of a result is a key, always there; its type is the schema's, `None` is null, and the sentence below
it is its description.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from spxarb.core.result import RESULT_TYPES, result_type
from tools.docs.json_words import words_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path("docs") / "json"
Schema = dict[str, Any]

_SIMPLE: dict[Any, Schema] = {
    object: {},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def schemas() -> dict[str, str]:
    """Command -> the text of its schema."""
    return {command: json.dumps(schema(command), indent=2) + "\n" for command in RESULT_TYPES}


def schema(command: str) -> Schema:
    """The schema of a command's JSON object."""
    definitions: dict[str, Schema] = {}
    body = _object(result_type(command), definitions, command)
    body["properties"]["command"] = {"const": command, "description": "The command that ran."}
    head = {"$schema": DIALECT, "title": f"spxarb {command} --json"}
    return {**head, **body, **({"$defs": dict(sorted(definitions.items()))} if definitions else {})}


def _object(cls: type, definitions: dict[str, Schema], owner: str = "") -> Schema:
    """Every field required, none beside them. `owner`: how `json_words` calls it, if not by its class."""
    hints, said = _hints(cls), _descriptions(cls)
    properties = {}
    for part in fields(cls):
        properties[part.name] = dict(_of_type(hints[part.name], definitions))
        if text := said.get(part.name) or words_of(owner or cls.__name__, part.name):
            properties[part.name]["description"] = text
    return {
        "description": " ".join((cls.__doc__ or "").split()),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _of_type(kind: Any, definitions: dict[str, Schema]) -> Schema:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [member.value for member in kind]}
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:  # text of that type
            return _of_type(arguments[1], definitions)
        case origin if origin is Literal:
            return {"enum": list(arguments)}
        case origin if origin in {Union, UnionType}:
            return _nullable([_of_type(one, definitions) for one in arguments if one is not NoneType])
        case origin if origin is tuple and arguments[1:] == (Ellipsis,):
            return {"type": "array", "items": _of_type(arguments[0], definitions)}
        case origin if origin is Mapping:
            return {"type": "object"}
    raise TypeError(f"{kind} has no JSON Schema here")


def _nullable(schemas: list[Schema]) -> Schema:
    (only,) = schemas
    if "enum" in only:
        return {**only, "enum": [*only["enum"], None]}
    if isinstance(only.get("type"), str):
        return {**only, "type": [only["type"], "null"]}
    return {"anyOf": [only, {"type": "null"}]}


@cache
def _hints(cls: type) -> dict[str, Any]:
    """The types of the fields; also of those that are imported for the type checker alone."""
    names: dict[str, Any] = {}
    for base in cls.__mro__[:-1]:
        for node in ast.walk(_module_syntax(base.__module__)):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                exec(compile(ast.Module(node.body, []), base.__module__, "exec"), names)  # noqa: S102 -- ours
    return get_type_hints(cls, localns=names, include_extras=True)


def _descriptions(cls: type) -> dict[str, str]:
    """Field -> the sentence below it, of the class and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        found |= _sentences(base)
    return found


@cache
def _sentences(cls: type) -> dict[str, str]:
    syntax = _module_syntax(cls.__module__)
    (body,) = [
        node.body for node in ast.walk(syntax) if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    ]
    return {
        field.target.id: " ".join(after.value.value.split())
        for field, after in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


@cache
def _module_syntax(name: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[name]))


def write(root: Path) -> None:
    """Write them below `root`, the project's; a schema of no command goes."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.json"):
        file.unlink()
    for command, text in schemas().items():
        (folder / f"{command}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
