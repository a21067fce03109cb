"""The configuration: options, environment, `.env`, YAML and defaults become one frozen Config.

Precedence: command-line option > environment variable > `.env` beside the configuration file, else, where
nobody named that file, in the working folder > YAML file > default. All problems are reported at once, in
one line.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from spxarb.config import switches
from spxarb.config.file import exists
from spxarb.config.own_paths import LOG_KEY, PathLooks, clashes, own_files, without_clashes
from spxarb.config.paths import HOME_MISSING, path_problem
from spxarb.config.problems import Problem, near_key, near_word, shown
from spxarb.config.refused import LEDGER_NAME, ledgers_beside_file, ledgers_in, ours_of, with_alerts
from spxarb.config.rules import address_problem, contradictions, moved
from spxarb.config.schema import SECTIONS, Sections, choices, default_sections, expected, field_of
from spxarb.config.section import text_problem as of_text
from spxarb.config.sources import NO_SETTING, Setting, Source, Sources, gather
from spxarb.config.variables import (
    ALERTS_VARIABLE,
    CREDENTIALS_VARIABLE,
    FLEX_QUERY_VARIABLE,
    FLEX_TOKEN_VARIABLE,
    NOTIFY_VARIABLE,
    STATE_VARIABLE,
    WAIT_VARIABLE,
    WIRE_VARIABLE,
)
from spxarb.config.watching import SECRET_KEYS, masked_url
from spxarb.core.masking import masked
from spxarb.core.own_names import ledgers_beside
from spxarb.errors import ConfigError
from spxarb.imports import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOG_NAME, MODES = "trading.log", choices(field_of("trading.mode"))
MOST_TOLD = 40
"""Problems in one line: of more, their number says enough."""
LIMIT_SECTIONS = ("ib", "trading", "risk_management", "execution")
STORED_SECTIONS = (*LIMIT_SECTIONS, "prices")
"""What is stored with a trade. The last says which prices its entry believed, and is not read back."""


class FlexAccess(BaseModel):
    """Token and query of IB's Flex web service; `exposed_in`: a `.env` where everybody can read the token."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    token: SecretStr
    query_id: str
    exposed_in: Path | None = None


class Config(Sections):
    """Every setting; `config.example.yaml` explains each key."""

    source: Path | None = Field(default=None, exclude=True, description="The YAML file that was read.")
    env_file: Path | None = Field(default=None, exclude=True, description="The `.env` that was read.")
    state_directory: Path | None = Field(default=None, exclude=True, description="$STATE_DIRECTORY.")
    hollow: bool = Field(
        default=False, exclude=True, description="The YAML file holds no setting, and nobody named it."
    )
    wait_scale: float = Field(
        default=1.0, exclude=True, description="$SPXARB_WAIT_SCALE, see `trading/waits`."
    )
    wire_folder: Path | None = Field(
        default=None, exclude=True, description="$SPXARB_WIRE_FOLDER: where every command records its wire."
    )
    notify_url: SecretStr | None = Field(
        default=None, exclude=True, description="$SPXARB_NOTIFY_URL, a secret."
    )
    alerts_in_outbox: bool = Field(
        default=False, exclude=True, description="$SPXARB_ALERTS: alerts wait in the ledger for a sender."
    )
    overruled: tuple[str, ...] = Field(
        default=(), exclude=True, description="Values that differ from the one that wins, both named."
    )
    advice: tuple[str, ...] = Field(
        default=(), exclude=True, description="What is not as it was set, and stops nothing, in sentences."
    )
    credentials: Path | None = Field(
        default=None, exclude=True, description="$CREDENTIALS_DIRECTORY, where systemd puts secrets."
    )
    flex: FlexAccess | None = Field(
        default=None, exclude=True, description="$SPXARB_FLEX_TOKEN, a secret, and $SPXARB_FLEX_QUERY_ID."
    )

    def database_path(self) -> Path:
        """The ledger: `storage.database`, else `trading.db` in the mode's folder under the state folder."""
        if self.storage.database is not None:
            return self.storage.database
        return state_folder(self.state_directory) / self.trading.mode / LEDGER_NAME

    def paper_ledger(self) -> Path:
        """The ledger of the paper account: `live.paper_ledger`, on paper the ledger itself, else by default.

        Raises ConfigError where there is no such place.
        """
        if self.live.paper_ledger is not None:
            return self.live.paper_ledger
        if self.trading.mode == "paper":
            return self.database_path()
        return state_folder(self.state_directory) / "paper" / LEDGER_NAME

    def log_path(self) -> Path:
        """The log file: `logging.path`, else `trading.log` beside the ledger."""
        return self.logging.path or self.database_path().with_name(LOG_NAME)

    def notes_of(self, command: str) -> tuple[str, ...]:
        """What the command tells of the configuration beside its result."""
        if command == "enter":
            return (*self.overruled, *self.advice)
        return self.advice if command == "monitor" else ()

    def limits(self) -> dict[str, Any]:
        """Limits and connection in JSON's types: stored with a trade, read back by `from_limits`."""
        return {name: getattr(self, name).in_json() for name in STORED_SECTIONS}

    @classmethod
    def from_limits(cls, limits: Mapping[str, Any], base: Self | None = None) -> Self:
        """The configuration in force when `limits` was stored; the other sections from `base`, else default.

        Raises ConfigError when this version cannot use what was stored.
        """
        settings = [
            Setting(f"{section}.{name}", value, f"{section}.{name}", Source.DEFAULT)
            for section in LIMIT_SECTIONS
            for name, value in limits.get(section, {}).items()
        ]
        built = _build(settings)
        if built.problems:
            told = "; ".join(map(str, built.problems))
            raise ConfigError(f"The limits stored with the trade cannot be used: {told}")
        stored = {name: getattr(built.sections, name) for name in LIMIT_SECTIONS}
        return cls.model_construct(**{**dict(base or cls.model_construct()), **stored})


_MEND_PLACE = "Set storage.database, $STATE_DIRECTORY or $HOME to a path that begins with /"


def state_folder(state_directory: Path | None = None) -> Path:
    """$STATE_DIRECTORY as systemd sets it, else spxarb's folder in the user's state folder.

    Raises ConfigError where there is no such folder.
    """
    if state_directory is not None:
        return state_directory
    with trimmed("platformdirs"):
        from platformdirs.unix import Unix  # noqa: PLC0415 -- only needed without a configured place
    try:
        folder = Unix("spxarb").user_state_dir  # on macOS too: one place for all documents
    except (RuntimeError, KeyError, OSError):  # it knows no home either
        why = path_problem("~/x")
    else:
        why = path_problem(folder) or ("" if folder.startswith("/") else f"{folder} is relative")
        if not why:
            return Path(folder)
    raise ConfigError(f"There is no default place for the ledger: {why or HOME_MISSING}", mend=_MEND_PLACE)


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration as it was read: what is in force, what was given, and what is wrong with it.

    `lost_ledgers`: where ledgers are whose path is not accepted any more, or stands in a file that is
    refused.
    """

    config: Config
    sources: Sources
    problems: tuple[Problem, ...]
    accepted: tuple[tuple[Setting, object], ...] = ()
    """Each good setting with its value, the weakest first."""
    lost_ledgers: tuple[Path, ...] = ()

    def stopping(self, verb: str = "") -> list[Problem]:
        """The problems with which the verb does not begin."""
        return [problem for problem in self.problems if problem.stops(verb)]


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    verb: str = "",
) -> Config:
    """The configuration in force. `overrides`: command-line options, dotted key -> value (None: not given).

    Raises ConfigError naming every problem, in one line. What is wrong with the dashboard's settings alone
    stops no verb but `dashboard`: its defaults are in force, and `advice` says so.
    """
    reading = read(path, environ, overrides)
    if reading.stopping(verb):
        raise invalid(reading.sources.file, reading.problems)
    return reading.config


def invalid(source: Path | None, problems: Sequence[Problem]) -> ConfigError:
    where = f"The configuration {source}" if source else "The configuration"
    told = [str(problem) for problem in problems[:MOST_TOLD]]
    if len(problems) > MOST_TOLD:
        told.append(f"and {len(problems) - MOST_TOLD:,} more")
    return ConfigError(f"{where} is invalid: {'; '.join(told)}", mend="Fix this and run it again")


def place_of(config: Config, key: str) -> str:
    """Where the value in force of a key stands, in words."""
    found = [setting for setting, _ in read(config.source).accepted if setting.key == key]
    return found[-1].place if found else "its default"


def without_settings(config: Config) -> ConfigError:
    """What to tell of a file found in a default place that holds no setting."""
    return invalid(config.source, [Problem(NO_SETTING)])


def salvage(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """The valid part of an invalid configuration: every key that is wrong or unreadable has its default.

    Enough to find the ledger and to send an alert, never to decide about money: limits then come from
    `Config.from_limits`.
    """
    return read(path, environ, overrides).config


def ledger_candidates(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Path, ...]:
    """Where the ledger may be when the configuration is invalid, likeliest first.

    The mode itself may be what is invalid, so the folders of the other modes follow.
    """
    reading = read(path, environ, overrides)
    config = reading.config
    found = list(reading.lost_ledgers)
    if (own := config.storage.database) is not None:  # a refused file names a ledger for want of another
        return (own, *found) if reading.sources.refused else (*found, own)
    order = dict.fromkeys((config.trading.mode, "live", "paper", "sim"))
    with suppress(ConfigError):
        folder = state_folder(config.state_directory)
        found += [folder / mode / LEDGER_NAME for mode in order]
    beside = ledgers_beside_file(config.source) if reading.sources.unread else []
    return (*found, *ours_of(beside))


def other_places(config: Config) -> list[Path]:
    """Where other ledgers may be: each mode's default place, and the folder of `storage.database`.

    Only what there is, the likeliest first.
    """
    places: list[Path] = []
    with suppress(ConfigError):
        places = default_ledgers(config.state_directory)
    if (own := config.storage.database) is not None:
        with suppress(OSError):
            places += sorted(own.absolute().parent.glob("*.db"))
    return [path for path in places if exists(path)]


# --- from sources to values ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Built:
    """The sections made of the good values, the keys of the bad ones, and a sentence about each of those."""

    sections: Sections
    bad: frozenset[str]
    problems: tuple[Problem, ...]
    accepted: tuple[tuple[Setting, object], ...]
    """Each good setting with its value, the weakest first."""


read_already: dict[Path | None, Reading] = {}
"""By `--config`: what root has read to find the ledger's owner, for the command that stays root's."""


def read(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Reading:
    """The configuration whatever is wrong with it: what cannot be used has its default, and is a problem."""
    already = read_already.pop(path, None)
    if already is not None and environ is None and not overrides:
        return already
    sources = gather(path, environ, overrides)
    built, text = _build(sources.settings), sources.text
    known = not sources.refused and not sources.lacks("trading.mode") and "trading.mode" not in built.bad
    mode = built.sections.trading.mode if known else None
    scale, scale_problems = switches.wait_scale(sources.real.get(WAIT_VARIABLE), mode)
    state, folder, state_problems = _state_directory(text.get(STATE_VARIABLE, ""), built)
    wire, wire_problems = switches.wire_folder(text.get(WIRE_VARIABLE, ""))
    notify_url = text.get(NOTIFY_VARIABLE)
    credentials = sources.real.get(CREDENTIALS_VARIABLE)
    outbox, outbox_problems = switches.in_outbox(text.get(ALERTS_VARIABLE, ""))
    # What a refused file would set is not known, so nothing contradicts it.
    whole = contradictions(built.sections, built.bad, notified=bool(notify_url or credentials))
    rules = [] if sources.refused else whole
    shared, own = _shared_paths(built.sections, sources, folder, wire)
    problems = (*sources.problems, *built.problems, *scale_problems, *state_problems, *wire_problems)
    problems = (*problems, *outbox_problems, *rules, *shared)
    usable = own(_without_bad_dashboard(built, problems))
    if notify_url and sources.lacks("notifications.email_enabled"):
        usable = with_alerts(usable)
    config = Config.model_construct(  # of sections that are checked, and of values that are made here
        **dict(usable),
        source=sources.file,
        env_file=sources.env_file,
        hollow=sources.hollow,
        state_directory=state,
        wait_scale=scale,
        wire_folder=None if any(problem.key == WIRE_VARIABLE for problem in shared) else wire,
        notify_url=SecretStr(notify_url) if notify_url else None,
        credentials=Path(credentials) if credentials else None,
        flex=_flex(sources),
        alerts_in_outbox=outbox,
        overruled=tuple(_overruled(built)),
        advice=tuple(_advice(sources, usable, problems)),
    )
    return Reading(config, sources, problems, built.accepted, tuple(_lost_ledgers(sources, built)))


def _shared_paths(
    sections: Sections, sources: Sources, default_folder: Path | None, wire: Path | None
) -> tuple[list[Problem], Callable[[Sections], Sections]]:
    """What is wrong where two paths are one file, and how the sections become harmless."""
    looks, database = PathLooks(), sections.storage.database
    if database is None and default_folder is not None:
        database = default_folder / sections.trading.mode / LEDGER_NAME
    others = ledgers_in(default_folder) if default_folder else []
    given = [file for file in (sources.file, sources.env_file) if file is not None]
    known = list(own_files(sections, database, given, others, looks))
    default_log = database.with_name(LOG_NAME) if database else None
    log = (sections.logging.path or default_log) if sections.logging.file else None
    problems = clashes(sections, log, wire, known, looks)
    homeless = any(problem.key == LOG_KEY for problem in problems)
    place = homeless and default_log is not None and not clashes(sections, default_log, None, known, looks)
    return problems, partial(without_clashes, problems=problems, log_has_place=place)


def default_ledgers(state_directory: Path | None) -> list[Path]:
    """Where each mode has its ledger unless it is told otherwise. Raises ConfigError."""
    return ledgers_in(state_folder(state_directory))


def _without_bad_dashboard(built: _Built, problems: Sequence[Problem]) -> Sections:
    """The sections; those of the dashboard are its defaults where one contradicts another."""
    if not any(p.key == "dashboard.host" for p in problems if p not in built.problems):
        return built.sections
    host = {"host": type(built.sections.dashboard)().host}
    return built.sections.model_copy(update={"dashboard": built.sections.dashboard.model_copy(update=host)})


def _overruled(built: _Built) -> list[str]:
    """A sentence for each value that differs from a stronger one of its key."""
    last: dict[str, tuple[Setting, object]] = {}
    sentences = []
    for setting, value in built.accepted:
        weaker = last.get(setting.key)
        last[setting.key] = setting, value
        if weaker is not None and weaker[1] != value:
            wins, loses = (_told(setting.key, one) for one in (setting.value, weaker[0].value))
            sentences.append(
                f"{setting.key} is {wins} by {setting.place}, which wins over {loses} in {weaker[0].place}."
            )
    return sentences


def _told(key: str, value: object) -> str:
    """A value in a sentence for anybody's eyes."""
    if key in SECRET_KEYS:
        return masked_url(str(value))
    return masked(str(value)) if key == "ib.account" else str(value)


def _advice(sources: Sources, sections: Sections, problems: Sequence[Problem]) -> list[str]:
    ignored = [problem for problem in problems if not problem.stops("")]
    told = [f"{problem}. The dashboard's default is in force." for problem in ignored]
    if sources.exposed and sources.env_file is not None:
        env = sources.env_file.absolute()
        told.append(
            f"Every user of this machine may read {env}, and secrets belong there: `chmod 600 {env}`."
        )
    return [*told, *moved(sections)]


def _lost_ledgers(sources: Sources, built: _Built) -> Iterator[Path]:
    """The ledger at a path that is not accepted, where there is one: with open trades it must be found."""
    yield from ours_of(sources.ledgers)
    if "storage.database" not in built.bad:
        return
    given = [s for s in sources.settings if s.key == "storage.database" and s.is_path]
    with suppress(OSError, ValueError):
        named = [Path(str(setting.anchored)) for setting in reversed(given)]
        places = [place for path in named for place in (*ledgers_beside(path), path)]
        yield from [place for place in places if place.is_file()][:1]


def _state_directory(text: str, built: _Built) -> tuple[Path | None, Path | None, list[Problem]]:
    """$STATE_DIRECTORY; the folder in which ledgers are made by default; what is wrong with it."""
    named = text.partition(":")[0]
    why = named and (path_problem(named) or ("" if named.startswith("/") else "it must begin with /"))
    if named and not why:
        return Path(named), Path(named), []
    what = f"{STATE_VARIABLE}: {shown(named)} is not the path of a folder: {why}" if named else ""
    try:
        folder = state_folder()
    except ConfigError as error:
        folder = None
        if not what and not built.bad and all(given.key != "storage.database" for given, _ in built.accepted):
            what = f"storage.database is not set. {str(error).rstrip('.')}"
    return None, folder, [Problem(what, "storage.database")] if what else []


def _flex(sources: Sources) -> FlexAccess | None:
    """Access to the Flex web service; None where one of its two parts is missing."""
    text = sources.text
    token, query_id = text.get(FLEX_TOKEN_VARIABLE, ""), text.get(FLEX_QUERY_VARIABLE, "")
    if not token.strip() or not query_id.strip():
        return None
    place = sources.env_file if sources.exposed and FLEX_TOKEN_VARIABLE not in sources.real else None
    return FlexAccess(token=SecretStr(token.strip()), query_id=query_id.strip(), exposed_in=place)


def _build(settings: Sequence[Setting]) -> _Built:
    judged = [(setting, _misplaced(setting)) for setting in settings]
    strongest: dict[str, dict[str, Setting]] = {}
    for setting, why in judged:
        if not why:
            strongest.setdefault(setting.section, {})[setting.name] = setting
    sound = _sound(strongest)
    good: dict[str, dict[str, object]] = {}
    accepted: list[tuple[Setting, object]] = []
    problems: list[Problem] = []
    for setting, why in judged:
        section, name = setting.section, setting.name
        if not why and section in sound and strongest[section][name] is setting:
            accepted.append((setting, getattr(sound[section], name)))
            continue
        value, wrong = (None, why) if why else _checked(setting)
        if wrong:
            problems.append(Problem(wrong, setting.key))
            continue
        good.setdefault(section, {})[name] = setting.anchored
        accepted.append((setting, value))
    made = {name: SECTIONS[name].model_validate(values) for name, values in good.items()}
    sections = Sections.model_construct(**{**default_sections(), **made, **sound})
    bad = frozenset(problem.key for problem in problems)
    return _Built(sections, bad, tuple(problems), tuple(accepted))


def _sound(strongest: Mapping[str, Mapping[str, Setting]]) -> dict[str, Any]:
    """The sections whose winning values are all good, as they nearly always are: checked all at once."""
    found = {}
    for section, given in strongest.items():
        with suppress(ValidationError):
            found[section] = SECTIONS[section].model_validate({name: s.anchored for name, s in given.items()})
    return found


def _misplaced(setting: Setting) -> str:
    """What is wrong before the value is judged; empty when nothing is."""
    if setting.name not in SECTIONS[setting.section].model_fields:
        return f"{setting.where}: no such key{near_key(setting.key)}"
    if why := setting.path_problem:
        return f"{setting.where}: {shown(setting.value)} is not the path of a file: {why}"
    why = address_problem(setting.key, setting.value)
    return f"{setting.where}: {why}" if why else ""


def _checked(setting: Setting) -> tuple[object, str]:
    """The setting's value, and what is wrong with it; empty when nothing is."""
    model, name = SECTIONS[setting.section], setting.name
    try:
        return getattr(model.model_validate({name: setting.anchored}), name), ""
    except ValidationError:
        field = field_of(setting.key)
        near = near_word(setting.value, choices(field))
        value = masked_url(str(setting.value)) if setting.key in SECRET_KEYS else shown(setting.value)
        why = f": {found}" if expected(field).startswith("text") and (found := of_text(setting.value)) else ""
        return None, f"{setting.where}: {value} is not {expected(field)}{near}{why}"
