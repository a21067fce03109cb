"""Where settings stand: options, environment, `.env` and YAML, each value with its place.

Precedence: command-line option > environment variable > `.env` beside the configuration file, else, where
nobody named that file, in the working folder > YAML file > default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.config.file import Document, EnvLines, exists, read_document, read_env_file, text_as_value
from spxarb.config.paths import file_problem, path_problem, user_path
from spxarb.config.problems import Problem, near_section, shown
from spxarb.config.refused import ledgers_named_by
from spxarb.config.schema import SECTIONS, field_of
from spxarb.config.trusted import Trust
from spxarb.config.variables import CONFIG_VARIABLE, ENVIRONMENT, known_variables, unknown_names
from spxarb.core.own_names import ledgers_beside

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SETTING = "it holds no setting (it is empty, or all of it is comments)"
PLACES = ("config.yaml", "~/.config/spxarb/config.yaml", "/etc/spxarb/config.yaml")
"""Where a configuration is looked for when nobody names one."""
FOLDERS = frozenset({"backup.folder"})
PATHS = frozenset(
    {
        *("storage.database", "logging.path", "trading.blackout_file", "live.paper_ledger"),
        *("notifications.smtp_password_file", "notifications.urls_file"),
        *FOLDERS,
    }
)
"""The keys whose values are files or, of them, folders."""


class Source(StrEnum):
    """What sets a value, from the weakest to the strongest."""

    DEFAULT = "default"
    YAML = "yaml"
    DOTENV = "dotenv"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as it was given.

    `where`: for problems, in words. `file` and `line`, `variable`: where it stands. `folder`: what a relative
    path counts from; None: the working folder.
    """

    key: str
    value: object
    where: str
    source: Source
    file: Path | None = None
    line: int | None = None
    variable: str = ""
    folder: Path | None = None

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """Its own, within the section."""
        return self.key.partition(".")[2]

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        line = f" (line {self.line})" if self.line else ""
        return " in ".join(filter(None, [self.variable, f"{self.file}{line}" if self.file else ""]))

    @property
    def is_path(self) -> bool:
        return self.key in PATHS and isinstance(self.value, str) and bool(self.value.strip())

    @property
    def anchored(self) -> object:
        """The value; a relative path in a file counts from the file's own folder: timers run in another."""
        if self.is_path and self.folder is not None:
            return str(self.folder / user_path(str(self.value)))
        return self.value

    @property
    def path_problem(self) -> str:
        """Why its value cannot be meant as a path, in words; empty for any other value."""
        if not self.is_path:
            return ""
        text = str(self.value)
        why = path_problem(text.rstrip("/")) if self.key in FOLDERS else file_problem(text)
        if self.key == "storage.database" and not why and (ledger := _served_ledger(self.anchored)):
            return f"it is a file that spxarb keeps beside the ledger {ledger}"
        return why


def _served_ledger(path: object) -> Path | None:
    """The ledger that is there and beside which a file of this name is the program's own."""
    return next((ledger for ledger in ledgers_beside(Path(str(path))) if exists(ledger)), None)


@dataclass(frozen=True, slots=True)
class Sources:
    """All that was given, the weakest first. `text`: the variables in force, those of `.env` included.

    `hollow`: the file that was found holds no setting. `foreign`: names in `.env` that are not ours.
    `exposed`: every user of the machine may read the `.env`. `refused`: a file was not read, for others may
    have written it; `ledgers`: the places that it names for them. `unread`: not all is known that the
    configuration's file sets.
    """

    settings: tuple[Setting, ...]
    problems: tuple[Problem, ...]
    file: Path | None
    named_by: str
    env_file: Path | None
    text: Mapping[str, str]
    real: Mapping[str, str]
    hollow: bool = False
    foreign: tuple[str, ...] = ()
    exposed: bool = False
    refused: bool = False
    ledgers: tuple[Path, ...] = ()
    unread: bool = False

    def lacks(self, key: str) -> bool:
        """Whether a file that was not read may set the key, and no other source does."""
        return self.unread and not any(setting.key == key for setting in self.settings)


@dataclass(slots=True)
class _EnvFile:
    """What stands in the `.env` that is read; `path` is None where there is none."""

    path: Path | None = None
    values: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    exposed: bool = False
    refused: bool = False


def gather(
    path: Path | None, environ: Mapping[str, str] | None, overrides: Mapping[str, object] | None
) -> Sources:
    """Everything that sets something, and what is wrong with the files' form."""
    given, ours = os.environ if environ is None else environ, set(known_variables())
    real = {name: text for name in given if name in ours and (text := given[name]).strip()}
    named = path is not None or CONFIG_VARIABLE in real
    here = _EnvFile() if named else _env_file(Path())
    file, named_by = find_file(path, {**here.values, **real})
    from_file = _from_file(file, named_by) if file else _YamlFile()
    hollow = [problem.text for problem in from_file.problems] == [NO_SETTING] and not named_by
    local = _env_file(file.parent) if file is not None and (named or file.parent != Path()) else here
    local = here if local.path is None else local
    consulted = [here] if here is not local and here.refused else []
    refused = [found.path for found in (*consulted, local) if found.refused and found.path]
    return Sources(
        settings=(
            *from_file.settings,
            *_from_variables(local.values, Source.DOTENV, local.path),
            *_from_variables(real, Source.ENVIRONMENT, None),
            *_from_options(overrides or {}),
        ),
        problems=(
            *([] if hollow else from_file.problems),
            *(problem for found in (*consulted, local) for problem in found.problems),
        ),
        file=file,
        named_by=named_by,
        env_file=local.path,
        text={**local.values, **real},
        real=real,
        hollow=hollow,
        foreign=tuple(local.foreign),
        exposed=local.exposed,
        refused=from_file.refused or bool(refused),
        ledgers=tuple(ledgers_named_by(file if from_file.refused else None, refused)),
        unread=from_file.unread,
    )


def find_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The YAML file to read (None: there is none) and what named it (empty: found in a default place)."""
    if path is not None:
        return user_path(str(path)), "--config"
    if named := environ.get(CONFIG_VARIABLE):
        return user_path(named), CONFIG_VARIABLE
    for place in PLACES:
        if not path_problem(place) and exists(user_path(place)):
            return user_path(place), ""
    return None, ""


def _env_file(folder: Path) -> _EnvFile:
    """The `.env` in that folder, if there is one."""
    path = folder / ".env"
    if not exists(path):
        return _EnvFile()
    lines: EnvLines = read_env_file(path, known_variables())
    misspelt, foreign = unknown_names(lines.values, path)
    return _EnvFile(
        path,
        {name: text for name, text in lines.values.items() if text.strip()},
        [*map(Problem, lines.problems), *misspelt],
        foreign,
        exposed=lines.for_everybody,
        refused=lines.refused,
    )


def _from_variables(text: Mapping[str, str], source: Source, file: Path | None) -> list[Setting]:
    beside = " in .env" if source is Source.DOTENV else ""
    return [
        Setting(
            key,
            text_as_value(text[name], kind),
            f"{name}{beside} ({key})",
            source,
            file=file,
            variable=name,
        )
        for name, (key, kind) in ENVIRONMENT.items()
        if name in text
    ]


def _from_options(overrides: Mapping[str, object]) -> list[Setting]:
    """Raises KeyError for a key that does not exist: the caller's bug, not the user's."""
    for key in overrides:
        field_of(key)
    return [
        Setting(key, value, f"option {key}", Source.OPTION, variable=f"option {key}")
        for key, value in overrides.items()
        if value is not None
    ]


@dataclass(slots=True)
class _YamlFile:
    """What stands in the YAML file, and what is wrong with its structure; values are checked later."""

    settings: list[Setting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused: bool = False
    unread: bool = False


def _from_file(file: Path, named_by: str) -> _YamlFile:
    if not exists(file):
        return _YamlFile(problems=[Problem(f"{file} does not exist ({named_by} names it)")], unread=True)
    document = read_document(file, trust_in(file, named_by))
    if document.empty:
        return _YamlFile(problems=[Problem(NO_SETTING)])
    settings: list[Setting] = []
    problems = list(document.problems)
    for section, content in document.values.items():
        where = _where(section, document)
        if section not in SECTIONS:
            problems.append(Problem(f"{where}: no such section{near_section(section)}", section))
        elif isinstance(content, dict):
            settings += [
                _setting(f"{section}.{name}", value, document, file) for name, value in content.items()
            ]
        elif content is not None:
            what = f"{shown(content)} is not a section; expected keys below `{section}:`"
            problems.append(Problem(f"{where}: {what}", section))
    return _YamlFile(settings, problems, document.refused, unread=bool(document.problems))


def trust_in(file: Path, named_by: str) -> Trust:
    """A file in the working folder that nobody named must lie where nobody else makes files."""
    return Trust.NAMED if named_by or file.is_absolute() else Trust.FOUND


def _setting(key: str, value: object, document: Document, file: Path) -> Setting:
    return Setting(
        key,
        value,
        _where(key, document),
        Source.YAML,
        file=file,
        line=document.lines.get(key),
        folder=file.parent,
    )


def _where(key: str, document: Document) -> str:
    line = document.lines.get(key)
    return f"{key} (line {line})" if line else key
