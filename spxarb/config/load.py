"""The configuration: options, environment, `.env`, YAML and defaults become one frozen Config.

Precedence: command-line option > environment variable > `.env` beside the configuration file, else in the
working folder > YAML file > default. All problems are reported at once, in one line.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import reprlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from spxarb.config.file import Document, exists, read_document, read_env_file, text_as_value
from spxarb.config.schema import SECTIONS, Sections, choices, every_key, expected, field_of
from spxarb.config.section import user_path
from spxarb.core.sessions import CLOSE, OPEN
from spxarb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LEDGER_NAME = "trading.db"
LOG_NAME = "trading.log"
MODES = choices(field_of("trading.mode"))
LIMIT_SECTIONS = ("ib", "trading", "risk_management", "execution")

# Environment variable -> (key, kind of its text).
ENVIRONMENT: dict[str, tuple[str, str]] = {
    "IB_HOST": ("ib.host", "text"),
    "IB_PORT": ("ib.port", "whole"),
    "IB_CLIENT_ID": ("ib.client_id", "whole"),
    "IB_ACCOUNT": ("ib.account", "text"),
    "TRADING_MODE": ("trading.mode", "text"),
    "MAX_SPREADS_PER_DAY": ("trading.max_spreads_per_day", "whole"),
    "MIN_ENTRY_CREDIT": ("trading.min_entry_credit", "number"),
    "MAX_DAILY_LOSS": ("risk_management.max_daily_loss", "number"),
    "DASHBOARD_HOST": ("dashboard.host", "text"),
    "DASHBOARD_PORT": ("dashboard.port", "whole"),
    "EMAIL_ENABLED": ("notifications.email_enabled", "bool"),
    "EMAIL_ADDRESS": ("notifications.email_address", "text"),
    "SPXARB_DATABASE": ("storage.database", "text"),
}
_PATHS = frozenset(
    {
        *("storage.database", "logging.path", "trading.blackout_file"),
        *("notifications.smtp_password_file", "notifications.urls_file"),
    }
)
NO_SETTING = "it holds no setting (it is empty, or all of it is comments)"
CONFIG_VARIABLE = "SPXARB_CONFIG"
NOTIFY_VARIABLE = "SPXARB_NOTIFY_URL"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
WAIT_VARIABLE = "SPXARB_WAIT_SCALE"
FLEX_TOKEN_VARIABLE = "SPXARB_FLEX_TOKEN"  # noqa: S105 -- its name alone
FLEX_QUERY_VARIABLE = "SPXARB_FLEX_QUERY_ID"
READABLE_BY_ALL = 0o007
"""Permissions that a file with a secret must not have."""


class FlexAccess(BaseModel):
    """Token and query of IB's Flex web service; `exposed_in`: a `.env` where everybody can read the token."""

    model_config = ConfigDict(frozen=True)

    token: SecretStr
    query_id: str
    exposed_in: Path | None = None


class Config(Sections):
    """Every setting; `config.example.yaml` explains each key."""

    source: Path | None = Field(default=None, exclude=True, description="The YAML file that was read.")
    state_directory: Path | None = Field(default=None, exclude=True, description="$STATE_DIRECTORY.")
    hollow: bool = Field(
        default=False, exclude=True, description="The YAML file holds no setting, and nobody named it."
    )
    wait_scale: float = Field(
        default=1.0, exclude=True, description="$SPXARB_WAIT_SCALE, see `trading/waits`."
    )
    notify_url: SecretStr | None = Field(
        default=None, exclude=True, description="$SPXARB_NOTIFY_URL, a secret."
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

    def log_path(self) -> Path:
        """The log file: `logging.path`, else `trading.log` beside the ledger."""
        return self.logging.path or self.database_path().with_name(LOG_NAME)

    def limits(self) -> dict[str, Any]:
        """Limits and connection in JSON's types: stored with a trade, read back by `from_limits`."""
        return self.model_dump(mode="json", include=set(LIMIT_SECTIONS))

    @classmethod
    def from_limits(cls, limits: Mapping[str, Any], base: Self | None = None) -> Self:
        """The configuration in force when `limits` was stored; the other sections from `base`, else default.

        Raises ConfigError when this version cannot use what was stored.
        """
        settings = [
            _Setting(f"{section}.{name}", value, f"{section}.{name}")
            for section in LIMIT_SECTIONS
            for name, value in limits.get(section, {}).items()
        ]
        sections, _, problems = _build(settings)
        if problems:
            raise ConfigError(f"The limits stored with the trade cannot be used: {'; '.join(problems)}")
        stored = {name: getattr(sections, name) for name in LIMIT_SECTIONS}
        return cls(**{**dict(base or cls()), **stored})


def state_folder(state_directory: Path | None = None) -> Path:
    """$STATE_DIRECTORY as systemd sets it, else spxarb's folder in the user's state folder."""
    if state_directory is not None:
        return state_directory
    import platformdirs  # noqa: PLC0415 -- only needed without a configured place

    return Path(platformdirs.user_state_dir("spxarb"))


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """The configuration in force. `overrides`: command-line options, dotted key -> value (None: not given).

    Raises ConfigError naming every problem, in one line.
    """
    config, problems, source = _read(path, environ, overrides)
    if problems:
        raise _invalid(source, problems)
    return config


def _invalid(source: Path | None, problems: Sequence[str]) -> ConfigError:
    where = f"The configuration {source}" if source else "The configuration"
    return ConfigError(f"{where} is invalid: {'; '.join(problems)}", mend="Fix this and run it again")


def without_settings(config: Config) -> ConfigError:
    """What to tell of a file found in a default place that holds no setting."""
    return _invalid(config.source, [NO_SETTING])


def salvage(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """The valid part of an invalid configuration: every key that is wrong or unreadable has its default.

    Enough to find the ledger and to send an alert, never to decide about money: limits then come from
    `Config.from_limits`.
    """
    return _read(path, environ, overrides)[0]


def ledger_candidates(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Path, ...]:
    """Where the ledger may be when the configuration is invalid, likeliest first.

    The mode itself may be what is invalid, so the folders of the other modes follow.
    """
    config = salvage(path, environ, overrides)
    if config.storage.database is not None:
        return (config.storage.database,)
    first = config.trading.mode
    folder = state_folder(config.state_directory)
    order = (first, *(mode for mode in ("live", "paper", "sim") if mode != first))
    return tuple(folder / mode / LEDGER_NAME for mode in order)


def other_places(config: Config) -> list[Path]:
    """Where other ledgers may be: each mode's default place, and the folder of `storage.database`.

    Only what there is, the likeliest first.
    """
    folder = state_folder(config.state_directory)
    places = [folder / mode / LEDGER_NAME for mode in ("live", "paper", "sim")]
    own = config.storage.database
    if own is not None:
        with suppress(OSError):
            places += sorted(own.absolute().parent.glob("*.db"))
    return [path for path in places if exists(path)]


def find_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The YAML file to read (None: there is none) and what named it (empty: found in a default place)."""
    if path is not None:
        return path, "--config"
    if named := environ.get(CONFIG_VARIABLE):
        return user_path(named), CONFIG_VARIABLE
    for place in ("config.yaml", "~/.config/spxarb/config.yaml", "/etc/spxarb/config.yaml"):
        if exists(user_path(place)):
            return user_path(place), ""
    return None, ""


# --- from sources to values ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Setting:
    """One value, its key, and where it was set, in words."""

    key: str
    value: object
    where: str


def _read(
    path: Path | None, environ: Mapping[str, str] | None, overrides: Mapping[str, object] | None
) -> tuple[Config, list[str], Path | None]:
    real = {name: text for name, text in (os.environ if environ is None else environ).items() if text.strip()}
    file, named_by = find_file(path, {**_env_file(None)[0], **real})
    from_file, file_problems = _from_file(file, named_by) if file else ([], [])
    hollow = file_problems == [NO_SETTING] and not named_by
    if hollow:
        file_problems = []
    local, env_problems = _env_file(file)
    text = {**local, **real}
    settings = [*from_file, *_from_environment(text, real), *_from_options(overrides or {})]
    sections, bad, value_problems = _build(settings)
    state = text.get("STATE_DIRECTORY", "").partition(":")[0]
    mode = None if "trading.mode" in bad else sections.trading.mode
    scale, scale_problems = _wait_scale(real.get(WAIT_VARIABLE), mode)
    config = Config(
        **dict(sections),
        source=file,
        hollow=hollow,
        state_directory=Path(state) if state else None,
        wait_scale=scale,
        notify_url=SecretStr(text[NOTIFY_VARIABLE]) if text.get(NOTIFY_VARIABLE) else None,
        credentials=Path(real[CREDENTIALS_VARIABLE]) if real.get(CREDENTIALS_VARIABLE) else None,
        flex=_flex(text, real, file),
    )
    problems = [*file_problems, *env_problems, *value_problems, *scale_problems]
    return config, [*problems, *_contradictions(config, bad)], file


def _wait_scale(text: str | None, mode: str | None) -> tuple[float, list[str]]:
    """Real seconds for each second of the program's own waits, and what is wrong with shortening them."""
    if text is None or mode is None:
        return 1.0, []
    if mode != "sim":
        return 1.0, [f"{WAIT_VARIABLE} is for trading.mode sim alone, not for {mode}: unset it"]
    value = text_as_value(text, "number")
    if not isinstance(value, int | float) or not 0 < value <= 1:
        return 1.0, [f"{WAIT_VARIABLE}: {_show(text)} is not a number above 0 and at most 1"]
    return float(value), []


def _flex(text: Mapping[str, str], real: Mapping[str, str], file: Path | None) -> FlexAccess | None:
    """Access to the Flex web service; None where one of its two parts is missing."""
    token, query_id = text.get(FLEX_TOKEN_VARIABLE, ""), text.get(FLEX_QUERY_VARIABLE, "")
    if not token.strip() or not query_id.strip():
        return None
    place = None if FLEX_TOKEN_VARIABLE in real else _env_path(file)
    with suppress(OSError):
        if place is not None and not place.stat().st_mode & READABLE_BY_ALL:
            place = None
    return FlexAccess(token=SecretStr(token.strip()), query_id=query_id.strip(), exposed_in=place)


def _env_path(file: Path | None) -> Path | None:
    """The `.env` beside the configuration file, else the one in the working folder; None: there is none."""
    folders = [*([file.parent] if file else []), Path()]
    return next((folder / ".env" for folder in folders if exists(folder / ".env")), None)


def _env_file(file: Path | None) -> tuple[dict[str, str], list[str]]:
    """What stands in the `.env` that is read, and what is wrong with it."""
    path = _env_path(file)
    if path is None:
        return {}, []
    values, problems = read_env_file(path)
    return {name: text for name, text in values.items() if text.strip()}, list(problems)


def _from_environment(text: Mapping[str, str], real: Mapping[str, str]) -> list[_Setting]:
    return [
        _Setting(key, text_as_value(text[name], kind), f"{name} {'' if name in real else 'in .env '}({key})")
        for name, (key, kind) in ENVIRONMENT.items()
        if name in text
    ]


def _from_options(overrides: Mapping[str, object]) -> list[_Setting]:
    """Raises KeyError for a key that does not exist: the caller's bug, not the user's."""
    for key in overrides:
        field_of(key)
    return [_Setting(key, value, f"option {key}") for key, value in overrides.items() if value is not None]


def _from_file(file: Path, named_by: str) -> tuple[list[_Setting], list[str]]:
    """The settings of a YAML file and what is wrong with its structure; values are checked later."""
    if not exists(file):
        return [], [f"{file} does not exist ({named_by} names it)"]
    document = read_document(file)
    if document.empty:
        return [], [NO_SETTING]
    settings: list[_Setting] = []
    problems = list(document.problems)
    for section, content in document.values.items():
        where = _where(section, document)
        if section not in SECTIONS:
            problems.append(f"{where}: no such section{_near_section(section)}")
        elif isinstance(content, dict):
            settings.extend(
                _Setting(key, _anchored(key, value, file), _where(key, document))
                for key, value in ((f"{section}.{name}", value) for name, value in content.items())
            )
        elif content is not None:
            problems.append(f"{where}: {_show(content)} is not a section; expected keys below `{section}:`")
    return settings, problems


def _where(key: str, document: Document) -> str:
    line = document.lines.get(key)
    return f"{key} (line {line})" if line else key


def _anchored(key: str, value: object, file: Path) -> object:
    """A relative path in the file counts from the file's own folder: timers run in another."""
    if key in _PATHS and isinstance(value, str) and value.strip():
        return str(file.parent / user_path(value))
    return value


def _build(settings: Sequence[_Setting]) -> tuple[Sections, frozenset[str], list[str]]:
    """The sections made of the good values, the keys of the bad ones, and a sentence about each of those."""
    good: dict[str, dict[str, object]] = {}
    bad: set[str] = set()
    problems: list[str] = []
    for setting in settings:
        if problem := _problem_of(setting):
            problems.append(problem)
            bad.add(setting.key)
        else:
            section, _, name = setting.key.partition(".")
            good.setdefault(section, {})[name] = setting.value
    models = {name: SECTIONS[name].model_validate(values) for name, values in good.items()}
    return Sections.model_validate(models), frozenset(bad), problems


def _problem_of(setting: _Setting) -> str:
    """What is wrong with one setting; empty when nothing is."""
    section, _, name = setting.key.partition(".")
    if name not in SECTIONS[section].model_fields:
        return f"{setting.where}: no such key{_near_key(setting.key)}"
    try:
        SECTIONS[section].model_validate({name: setting.value})
    except ValidationError:
        field = field_of(setting.key)
        return (
            f"{setting.where}: {_show(setting.value)} is not {expected(field)}"
            f"{_near_word(setting.value, choices(field))}"
        )
    return ""


def _show(value: object) -> str:
    """A short form of any value; text keeps its quotes, so that `"4002"` differs from 4002."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return " ".join(reprlib.repr(value).split())


def _near_section(section: str) -> str:
    """A misspelt section, or a key outside its section."""
    homes = [key for key in every_key() if key.partition(".")[2] == section]
    return _suggest(homes or difflib.get_close_matches(section, SECTIONS, 1, 0.6))


def _near_key(key: str) -> str:
    """The same name in another section, else the nearest name in this one, else the nearest anywhere."""
    section, _, name = key.partition(".")
    keys = every_key()
    elsewhere = [known for known in keys if known.partition(".")[2] == name]
    siblings = [known for known in keys if known.startswith(f"{section}.")]
    near = difflib.get_close_matches(key, siblings, 1, 0.75) or difflib.get_close_matches(key, keys, 1, 0.75)
    return _suggest(elsewhere or near)


def _near_word(value: object, words: Sequence[str]) -> str:
    return _suggest(difflib.get_close_matches(str(value).lower(), words, 1, 0.5))


def _suggest(names: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(names)}?)" if names else ""


# --- values that contradict each other -------------------------------------------------------------


def _contradictions(config: Config, bad: frozenset[str]) -> list[str]:
    """What is wrong between values; a rule about a bad key is skipped, that key is reported already."""
    return [sentence for keys, wrong, sentence in _rules(config) if wrong and not bad.intersection(keys)]


def _rules(config: Config) -> Iterator[tuple[tuple[str, ...], bool, str]]:
    """(keys, whether they contradict each other, what to say then)."""
    trading, notify = config.trading, config.notifications
    first, cutoff, time_exit = trading.entry_time, trading.entry_cutoff, trading.exit_check_time
    spy, spx = trading.spy_contracts_per_spread, trading.spx_contracts_per_spread
    yield (
        ("trading.min_ratio", "trading.max_ratio"),
        trading.min_ratio >= trading.max_ratio,
        f"trading.min_ratio {trading.min_ratio} must be below trading.max_ratio {trading.max_ratio}",
    )
    yield (
        ("trading.entry_time", "trading.entry_cutoff"),
        first >= cutoff,
        f"trading.entry_time {first:%H:%M} must be before trading.entry_cutoff {cutoff:%H:%M}",
    )
    yield (
        ("trading.entry_cutoff", "trading.exit_check_time"),
        cutoff >= time_exit,
        f"trading.entry_cutoff {cutoff:%H:%M} must be before trading.exit_check_time {time_exit:%H:%M}",
    )
    yield (
        ("trading.entry_time",),
        first < OPEN,
        f"trading.entry_time {first:%H:%M} must not be before the market opens at {OPEN:%H:%M}",
    )
    yield (
        ("trading.exit_check_time",),
        time_exit >= CLOSE,
        f"trading.exit_check_time {time_exit:%H:%M} must be before the market closes at {CLOSE:%H:%M}",
    )
    yield (
        ("trading.spy_contracts_per_spread", "trading.spx_contracts_per_spread"),
        spy > 10 * spx,
        f"trading.spy_contracts_per_spread {spy} must be at most 10 x trading.spx_contracts_per_spread {spx}",
    )
    yield (
        ("trading.mode", "ib.account"),
        trading.mode == "live" and config.ib.account is None,
        "ib.account must name the account when trading.mode is live",
    )
    yield (
        ("dashboard.host",),
        not _is_loopback(config.dashboard.host),
        f"dashboard.host {_show(config.dashboard.host)} must be a loopback address such as 127.0.0.1",
    )
    addressed = notify.email_address or notify.urls_file or config.notify_url or config.credentials
    yield (
        ("notifications.email_enabled", "notifications.email_address"),
        notify.email_enabled and not addressed,
        f"notifications.email_address (or {NOTIFY_VARIABLE}) must be set when email_enabled is true",
    )
    host = notify.smtp_host or "localhost"
    yield (
        ("notifications.smtp_user", "notifications.smtp_security"),
        notify.smtp_user is not None and notify.smtp_security == "none" and not _is_loopback(host),
        f"notifications.smtp_security must be starttls or tls where a password goes to {host}",
    )
    both = sorted(set(config.calendar.closed) & set(config.calendar.early_close))
    yield (
        ("calendar.closed", "calendar.early_close"),
        bool(both),
        f"calendar: {', '.join(map(str, both))} cannot be both closed and early_close",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
