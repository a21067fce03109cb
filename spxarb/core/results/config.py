"""What `config` answers: every setting with its value and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from spxarb.core.result import Result


@dataclass(frozen=True)
class GivenValue:
    """A value as one place gives it."""

    value: object
    """Secrets are `***`."""
    source: str
    """`default`, `yaml`, `dotenv`, `environment` or `option`."""
    place: str | None = None
    """The file with its line, or the variable; null for a default."""


@dataclass(frozen=True)
class SettingRow:
    """One setting as it is in force."""

    key: str
    """The dotted key; of what has no key in the file, the variable's name."""
    value: object
    """Null where it is not set; secrets are `***`."""
    source: str
    """What sets it: `default`, `yaml`, `dotenv`, `environment` or `option`."""
    place: str | None = None
    """The file with its line, or the variable; null for a default."""
    default: object = None
    overruled: tuple[GivenValue, ...] = ()
    """Weaker places that give it another value, the strongest first."""
    problem: str | None = None
    """What is wrong with it; then the value in force is the next weaker one."""


@dataclass(frozen=True)
class ConfigFiles:
    """The files that settings come from, and those that they name."""

    configuration: str | None = None
    named_by: str | None = None
    """`--config` or `SPXARB_CONFIG`; null where the file was found in its default place."""
    env: str | None = None
    """The `.env` that is read."""
    database: str | None = None
    """The ledger."""
    log: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConfigResult(Result):
    """Every setting, or an example."""

    settings: tuple[SettingRow, ...] = ()
    files: ConfigFiles = field(default_factory=ConfigFiles)
    problems: tuple[str, ...] = ()
    """What is wrong, all of it; of the dashboard's settings it stops no other verb."""
    unknown: tuple[str, ...] = ()
    """Names in `.env` that are not spxarb's."""
    example: str | None = None
    """With `--example`: the file's text."""
