"""Every setting with its value and where it comes from, and what a stronger place overrules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.config.schema import SECTIONS, every_key
from spxarb.config.sources import Setting, Source
from spxarb.config.variables import ENVIRONMENT_ONLY, SECRETS
from spxarb.core.masking import HIDDEN, masked_addresses
from spxarb.core.results.config import ConfigFiles, GivenValue, SettingRow

if TYPE_CHECKING:
    from spxarb.config.load import Reading


def settings_of(reading: Reading) -> tuple[SettingRow, ...]:
    """A row for each key, in the order of the file, and one for each variable without a key."""
    problems = {problem.key: problem.text for problem in reversed(reading.problems)}
    keys = tuple(_row(reading, key, problems.get(key)) for key in every_key())
    return (*keys, *(_variable_row(reading, name) for name in ENVIRONMENT_ONLY))


def files_of(reading: Reading) -> ConfigFiles:
    """The files that settings come from, and those that they name; None where they cannot be known."""
    sources, config = reading.sources, reading.config
    known = "storage.database" not in {problem.key for problem in reading.problems}
    return ConfigFiles(
        configuration=str(sources.file.absolute()) if sources.file else None,
        named_by=sources.named_by or None,
        env=str(sources.env_file.absolute()) if sources.env_file else None,
        database=str(config.database_path().absolute()) if known else None,
        log=str(config.log_path().absolute()) if known or config.logging.path else None,
    )


def _row(reading: Reading, key: str, problem: str | None) -> SettingRow:
    section, _, name = key.partition(".")
    default = SECTIONS[section]().model_dump(mode="json")[name]
    given = [(setting, value) for setting, value in reading.accepted if setting.key == key]
    strongest = given[-1][0] if given else None
    in_force = getattr(reading.config, section).model_dump(mode="json")[name]
    return SettingRow(
        key,
        _shown(in_force),
        strongest.source if strongest else Source.DEFAULT,
        strongest.place if strongest else None,
        default=default,
        overruled=_overruled(given),
        problem=problem,
    )


def _overruled(given: list[tuple[Setting, Any]]) -> tuple[GivenValue, ...]:
    """The weaker values that differ from the strongest."""
    return tuple(
        GivenValue(_shown(_as_json(setting.key, value)), setting.source, setting.place)
        for setting, value in reversed(given[:-1])
        if value != given[-1][1]
    )


def _as_json(key: str, value: object) -> object:
    section, _, name = key.partition(".")
    model = SECTIONS[section]()
    return model.model_copy(update={name: value}).model_dump(mode="json")[name]


def _shown(value: object) -> object:
    """The value; of an address no more than scheme and host."""
    return masked_addresses(value) if isinstance(value, str) else value


def _variable_row(reading: Reading, name: str) -> SettingRow:
    sources = reading.sources
    text = sources.text.get(name)
    if text is None:
        return SettingRow(name, None, Source.DEFAULT)
    real = name in sources.real
    return SettingRow(
        name,
        HIDDEN if name in SECRETS else masked_addresses(text),
        Source.ENVIRONMENT if real else Source.DOTENV,
        name if real else f"{name} in {sources.env_file}",
    )
