"""The configuration without its secrets, for a copy that leaves this machine.

A value goes along only where it is known to be harmless; what is left out is named. The files are written
anew from what was read in them, because a comment may hold a password too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from spxarb.config.file import read_document, read_env_file
from spxarb.config.schema import SECTIONS
from spxarb.config.variables import SECRETS, known_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.config.load import Config

_HARMLESS = frozenset(known_variables()) - SECRETS
"""Variables of a `.env` that are no secrets; what any other one holds is not known."""
_SECRET_NAME = re.compile(r"token|passw|secret|credential|key|url|webhook", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""An address such as apprise's may carry a token or a password in any of its parts."""


def secret_values(config: Config) -> list[str]:
    """Every secret in force, the longest first: none of them may stand in a copy of anything."""
    return sorted(set(filter(None, _secrets_in(config))), key=len, reverse=True)


def _secrets_in(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for name in type(value).model_fields:
                yield from _secrets_in(getattr(value, name))
        case dict():
            for item in value.values():
                yield from _secrets_in(item)
        case list() | tuple():
            for item in value:
                yield from _secrets_in(item)


def files_without_secrets(config: Config) -> tuple[dict[str, str], list[str]]:
    """The configuration's files by name, and the names of the values left out of them."""
    found: dict[str, str] = {}
    left_out: list[str] = []
    secrets = secret_values(config)
    if config.source is not None:
        text = _yaml(config, secrets, left_out)
        if text is not None:
            found["config.yaml"] = text
    path = config.env_file
    if path is not None:
        read = read_env_file(path)
        lines = []
        for name, value in read.values.items():
            if name in _HARMLESS and not _is_secret(value, secrets):
                lines.append(f"{name}={_quoted(value)}\n")
            else:
                left_out.append(f"{name} (.env)")
                lines.append(f"# {name} was left out of the backup\n")
        count = len(read.problems)
        left_out += [f"what cannot be read in .env ({count} places)"] if count else []
        found[".env"] = "".join(lines)
    return found, left_out


def _quoted(value: str) -> str:
    """As a `.env` reads it back: without quotes where it has none of its own meaning."""
    if re.fullmatch(r"[\w./:@%+,=~-]*", value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _yaml(config: Config, secrets: list[str], left_out: list[str]) -> str | None:
    """The YAML file anew; a value is written as JSON, which YAML reads as the same."""
    assert config.source is not None
    document = read_document(config.source)
    if document.problems:
        left_out.append(f"the configuration file, which is not valid ({document.problems[0]})")
        return None
    lines = ["# Written by `spxarb backup`, without comments and secrets.\n"]
    for section, content in document.values.items():
        if section not in SECTIONS or not isinstance(content, dict):
            left_out += [section] if content is not None else []
            continue
        lines.append(f"{section}:\n")
        for name, value in content.items():
            if value is None or _may_go_along(section, str(name), value, secrets):
                lines.append(f"  {name}: {json.dumps(value, default=str)}\n")
            else:
                left_out.append(f"{section}.{name}")
                lines.append(f"  # {name} was left out of the backup\n")
    return "".join(lines)


def _may_go_along(section: str, name: str, value: Any, secrets: list[str]) -> bool:
    """Whether the value is that of a known key, and neither a secret nor anything that may hold one."""
    known = SECTIONS[section].model_fields
    return name in known and not _SECRET_NAME.search(name) and not _is_secret(value, secrets)


def _is_secret(value: object, secrets: list[str]) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return bool(_ADDRESS.search(text)) or any(secret in text for secret in secrets)
