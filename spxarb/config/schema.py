"""The configuration's schema: every key with its default, its range and the sentence that documents it.

Values are checked strictly: `port: "4002"` is text and not a number, `true` is not 1. Money and prices are
`Decimal`, times are New York wall-clock time. Nothing here reads a file or the environment.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from spxarb.config.live import LiveSettings
from spxarb.config.notifications import NotificationsSettings
from spxarb.config.section import FilePath, Section, Text, json_number, json_time
from spxarb.config.watching import PingSettings, WatchdogSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo


def _number(value: object) -> object:
    """Numbers become the Decimal that they print as; anything else goes on to the strict check."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    return value


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _clock(value: object) -> object:
    """`"09:35"` or `"09:35:30"`, without a zone."""
    if not isinstance(value, str) or not value[:1].isdigit() or value.count(":") not in (1, 2):
        return value
    hour, _, rest = value.partition(":")
    try:
        found = time.fromisoformat(f"{hour.zfill(2)}:{rest}")
    except ValueError:
        return value
    return found if found.tzinfo is None else value


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _days(value: object) -> object:
    return tuple(_day(item) for item in value) if isinstance(value, list) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Number = Annotated[Decimal, BeforeValidator(_number), PlainSerializer(json_number, when_used="json")]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Clock = Annotated[time, BeforeValidator(_clock), PlainSerializer(json_time, when_used="json")]
Days = Annotated[tuple[date, ...], BeforeValidator(_days)]


class IbSettings(Section):
    """The IB Gateway or TWS to connect to."""

    host: Text = Field(default="127.0.0.1", description="Host name or IP address of IB Gateway or TWS.")
    port: int = Field(
        default=4002,
        ge=1,
        le=65535,
        description="API port: Gateway 4002 paper, 4001 live; TWS 7497 paper, 7496 live.",
    )
    client_id: int = Field(
        default=1, ge=0, le=2**31 - 1, description="API client id, used by no other program."
    )
    account: Text | None = Field(
        default=None, description="Account to trade; null: the only one (paper, sim). Live must name it."
    )
    gateway_user: Text | None = Field(
        default=None,
        description="User of this machine whose program must answer at that port (Linux); null: anybody's.",
    )


class TradingSettings(Section):
    """When to enter, in what size, and the conditions that must hold."""

    mode: Literal["paper", "live", "sim"] = Field(
        default="paper", description="Account type: paper (D...), live, or sim (the simulated gateway)."
    )
    blackout_file: FilePath | None = Field(
        default=None, description="CSV file of dates without entries, each with its reason; null: none."
    )
    max_spreads_per_day: int = Field(
        default=2, ge=0, le=100, description="Most entries a day, counted once anything fills; 0: no entries."
    )
    min_entry_credit: Number = Field(
        default=Decimal(400),
        ge=-100_000,
        le=100_000,
        description="Minimum net credit of one spread, dollars after commissions; negative: a debit.",
    )
    assignment_risk_threshold: Number = Field(
        default=Decimal(10), ge=0, le=1000, description="Exit when SPY is this many dollars above its strike."
    )
    entry_time: Clock = Field(default=time(9, 35), description="Start of the entry window, New York time.")
    entry_cutoff: Clock = Field(
        default=time(10, 0), description="End of the entry window, New York time, itself excluded."
    )
    exit_check_time: Clock = Field(
        default=time(15, 45),
        description="Time exit, New York time; on a short day 15 minutes before the close.",
    )
    spy_contracts_per_spread: int = Field(default=10, ge=1, le=1000, description="SPY calls sold per spread.")
    spx_contracts_per_spread: int = Field(default=1, ge=1, le=100, description="SPX calls bought per spread.")
    min_ratio: Number = Field(
        default=Decimal("9.95"),
        gt=0,
        le=100,
        description="Lowest SPX/SPY ratio for an entry.",
    )
    max_ratio: Number = Field(
        default=Decimal("10.05"),
        gt=0,
        le=100,
        description="Highest SPX/SPY ratio for an entry.",
    )
    max_spx_spread: Number = Field(
        default=Decimal("0.50"),
        ge=0,
        le=100,
        description="Maximum bid-ask width of the SPX call for an entry, dollars.",
    )
    max_spy_spread: Number = Field(
        default=Decimal("0.05"),
        ge=0,
        le=100,
        description="Maximum bid-ask width of the SPY call for an entry, dollars.",
    )
    max_strike_distance_spx: Number = Field(
        default=Decimal("2.5"),
        ge=0,
        le=1000,
        description="Maximum distance from SPX to the nearest listed strike, index points.",
    )
    max_strike_distance_spy: Number = Field(
        default=Decimal("0.5"),
        ge=0,
        le=100,
        description="Maximum distance from SPY to the nearest listed strike, dollars.",
    )


class PricesSettings(Section):
    """What a price must be to be believed; each limit stops entries, and no exit."""

    max_quote_age_seconds: Seconds = Field(
        default=10, gt=0, le=600, description="Maximum time since the newest bid or ask of each quote."
    )
    max_index_age_seconds: Seconds = Field(
        default=15, gt=0, le=600, description="Maximum time since the SPX index was last computed."
    )
    max_legs_apart_seconds: Seconds = Field(
        default=5, gt=0, le=600, description="Maximum time between the newest bid or ask of the two calls."
    )
    max_index_difference: Number = Field(
        default=Decimal(2),
        gt=0,
        le=1000,
        description="Maximum difference of SPX by put-call parity from the index, and its maximum "
        "uncertainty, index points.",
    )
    max_ratio_difference: Number = Field(
        default=Decimal(5),
        gt=0,
        le=1000,
        description="Maximum difference of SPX by parity from the ratio last measured x SPY, index points.",
    )
    max_ratio_drift: Number = Field(
        default=Decimal(10),
        gt=0,
        le=1000,
        description="Maximum drift of SPX/SPY from the median of its last five measurements, basis points.",
    )
    max_underlying_drift: Number = Field(
        default=Decimal(3),
        gt=0,
        le=1000,
        description="Maximum move of SPX or SPY while an entry is decided, index points.",
    )
    max_unexplained_credit: Number = Field(
        default=Decimal(750),
        gt=0,
        le=1_000_000,
        description="Maximum credit beyond what the mismatch of the strikes explains, dollars.",
    )
    second_look_seconds: Seconds = Field(
        default=3, gt=0, le=60, description="Time between the two looks that must both allow an entry."
    )


class RiskManagementSettings(Section):
    """Loss limits."""

    max_daily_loss: Number = Field(
        default=Decimal(1000),
        ge=0,
        le=10_000_000,
        description="A larger loss of the day, dollars, stops entries; see emergency_exit_enabled.",
    )
    max_position_loss: Number = Field(
        default=Decimal(500),
        ge=0,
        le=10_000_000,
        description="A larger loss of one spread, dollars, exits it.",
    )
    worst_case_within_daily_loss: bool = Field(
        default=True,
        description="A second spread of a day must not lose more at worst than max_daily_loss still allows.",
    )
    max_losses_per_day: int | None = Field(
        default=None, ge=1, le=100, description="So many losing spreads stop entries for the day; null: any."
    )
    max_failed_jobs_per_day: int | None = Field(
        default=10,
        ge=1,
        le=10_000,
        description="So many failed jobs stop entries for the day, or until start; null: any number.",
    )
    margin_reserve_factor: Number = Field(
        default=Decimal("1.2"),
        ge=1,
        le=10,
        description="Available funds needed for an entry, as a multiple of the margin that IBKR wants.",
    )
    emergency_exit_enabled: bool = Field(
        default=True,
        description="Exit every open spread when max_daily_loss is exceeded; close-all works regardless.",
    )


class ExecutionSettings(Section):
    """How orders are worked, and how long to wait."""

    order_timeout_seconds: Seconds = Field(
        default=30,
        gt=0,
        le=600,
        description="How long an entry order works at each price, and the last order of an exit.",
    )
    max_retry_attempts: int = Field(
        default=3, ge=0, le=50, description="How often an entry order is repriced."
    )
    use_limit_orders: bool = Field(default=True, description="Send limit orders; false: market orders.")
    quote_timeout_seconds: Seconds = Field(
        default=10, gt=0, le=120, description="How long to wait for market data."
    )
    connect_timeout_seconds: Seconds = Field(
        default=10, gt=0, le=120, description="How long the logon at the gateway may take."
    )
    question_timeout_seconds: Seconds = Field(
        default=10, gt=0, le=120, description="How long to wait for the gateway's answer to a request."
    )
    what_if_pause_seconds: Seconds | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Least time between two what-if orders; null: 60 in paper and live, none in sim.",
    )
    market_exit: bool = Field(default=True, description="An exit may end with a market order.")
    exit_rungs: int = Field(
        default=6,
        ge=1,
        le=50,
        description="Limit prices that an exit tries, each more aggressive, before its last order.",
    )
    exit_rung_seconds: Seconds = Field(
        default=5, gt=0, le=120, description="How long an exit order works at each of these prices."
    )
    broker_side_failsafe: bool = Field(
        default=True,
        description="Rest a buy-back of SPY at the broker, inactive until 10 minutes before the close.",
    )
    lock_timeout_seconds: Seconds | None = Field(
        default=None,
        ge=0,
        le=36000,
        description="How long to wait for another spxarb job to finish; null: longer than any may take.",
    )


class DashboardSettings(Section):
    """The `status` view and the web page."""

    host: Text = Field(default="127.0.0.1", description="Address to listen on; loopback only.")
    port: int = Field(default=5000, ge=1, le=65535, description="Port of the web page and REST API.")
    refresh_interval_seconds: Seconds = Field(
        default=5, gt=0, le=3600, description="Time between two refreshes of `status --watch`."
    )
    show_greeks: bool = Field(default=True, description="Show the greeks of each open spread in `status`.")
    show_pnl_chart: bool = Field(
        default=True, description="Draw the line of the day's P&L in `status --watch`."
    )


class LoggingSettings(Section):
    """What is logged, and where."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = (
        Field(default="INFO", description="Lowest severity that is logged.")
    )
    format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        default="text", description="Log lines as text, or as one JSON object each."
    )
    console: bool = Field(default=True, description="Log to stderr.")
    file: bool = Field(default=True, description="Log to a file.")
    path: FilePath | None = Field(default=None, description="Log file; null: trading.log beside the ledger.")


class StorageSettings(Section):
    """Where the ledger is."""

    database: FilePath | None = Field(
        default=None,
        description="Ledger file; null: trading.db in the mode's folder under the state folder.",
    )


class BackupSettings(Section):
    """Copies of the ledger that `backup` makes, and `settle` once a day."""

    daily: bool = Field(default=True, description="`settle` makes a backup, one a day.")
    folder: FilePath | None = Field(
        default=None, description="Where backups go; null: `backups` beside the ledger."
    )
    keep_days: int = Field(
        default=30,
        ge=1,
        le=36500,
        description="A backup older than this many days is deleted; the newest never.",
    )


class FeesSettings(Section):
    """Estimated fees, dollars per contract, used until the broker reports the actual ones."""

    commission_per_contract: Number = Field(
        default=Decimal("0.65"), ge=0, le=100, description="IBKR commission."
    )
    commission_minimum: Number = Field(
        default=Decimal("1.00"), ge=0, le=100, description="IBKR minimum commission per order."
    )
    spx_exchange: Number = Field(
        default=Decimal("0.58"),
        ge=0,
        le=100,
        description="Cboe fee of an SPXW option, premium 1.00 and above.",
    )
    spx_exchange_low_premium: Number = Field(
        default=Decimal("0.49"), ge=0, le=100, description="Cboe fee of an SPXW option, premium below 1.00."
    )
    spy_exchange: Number = Field(
        default=Decimal("0.30"),
        ge=-100,
        le=100,
        description="Exchange fee of a SPY option; a rebate is negative.",
    )
    orf: Number = Field(default=Decimal("0.028"), ge=0, le=100, description="Options regulatory fee.")
    occ: Number = Field(default=Decimal("0.025"), ge=0, le=100, description="OCC clearing fee.")
    spy_cat: Number = Field(
        default=Decimal("0.005"), ge=0, le=100, description="Consolidated audit trail fee of a SPY option."
    )
    spy_taf: Number = Field(
        default=Decimal("0.003"), ge=0, le=100, description="FINRA trading activity fee of a SPY option sold."
    )
    spy_sec_rate: Number = Field(
        default=Decimal("0.0000206"),
        ge=0,
        le=1,
        description="SEC fee of SPY options sold, as a fraction of the premium.",
    )


class CalendarSettings(Section):
    """Closures that the built-in exchange calendar does not know."""

    closed: Days = Field(default=(), description="Additional dates on which the exchange is closed.")
    early_close: Days = Field(
        default=(), description="Additional dates on which the exchange closes at 13:00."
    )


class Sections(BaseModel):
    """All sections, in the order of the file. One that sets nothing is its defaults, which need no check."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    ib: IbSettings = Field(default_factory=IbSettings.model_construct)
    trading: TradingSettings = Field(default_factory=TradingSettings.model_construct)
    prices: PricesSettings = Field(default_factory=PricesSettings.model_construct)
    risk_management: RiskManagementSettings = Field(default_factory=RiskManagementSettings.model_construct)
    live: LiveSettings = Field(default_factory=LiveSettings.model_construct)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings.model_construct)
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings.model_construct)
    logging: LoggingSettings = Field(default_factory=LoggingSettings.model_construct)
    storage: StorageSettings = Field(default_factory=StorageSettings.model_construct)
    backup: BackupSettings = Field(default_factory=BackupSettings.model_construct)
    notifications: NotificationsSettings = Field(default_factory=NotificationsSettings.model_construct)
    watchdog: WatchdogSettings = Field(default_factory=WatchdogSettings.model_construct)
    ping: PingSettings = Field(default_factory=PingSettings.model_construct)
    fees: FeesSettings = Field(default_factory=FeesSettings.model_construct)
    calendar: CalendarSettings = Field(default_factory=CalendarSettings.model_construct)


SECTIONS: dict[str, type[Section]] = {
    name: found
    for name, field in Sections.model_fields.items()
    if isinstance(found := field.annotation, type) and issubclass(found, Section)
}


def field_of(path: str) -> FieldInfo:
    """The field at a dotted path such as `trading.max_ratio`. KeyError: no such key."""
    section, _, key = path.partition(".")
    return SECTIONS[section].model_fields[key]


@cache
def default_sections() -> Mapping[str, Section]:
    """Every section as it is where nothing sets it; they are frozen, so one of each is enough."""
    return {name: section.model_construct() for name, section in SECTIONS.items()}


def every_key() -> tuple[str, ...]:
    """The dotted paths of all keys, in the order of the file."""
    return tuple(f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields)


_KINDS: dict[object, str] = {
    int: "a whole number",
    float: "a number of seconds",
    Decimal: "a number",
    bool: "true or false",
    time: 'a time such as "09:35"',
    str: "text",
    Path: "a path",
    SecretStr: "an http or https address",
    tuple: "a list of dates such as 2025-01-09",
}


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that a key accepts; empty when it is not a choice."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def expected(field: FieldInfo) -> str:
    """What a key accepts, in words: `a whole number from 1 to 65535`."""
    if words := choices(field):
        return f"one of {', '.join(words)}"
    annotation: Any = field.annotation
    parts = [part for part in get_args(annotation) if part is not type(None)]
    nullable = type(None) in get_args(annotation)
    base: Any = parts[0] if nullable else annotation
    while get_origin(base) is Annotated:
        base = get_args(base)[0]
    text = _KINDS[get_origin(base) or base] + _range(field)
    return f"{text}, or null" if nullable else text


def _range(field: FieldInfo) -> str:
    bounds = {name: getattr(rule, name) for rule in field.metadata for name in _BOUNDS if hasattr(rule, name)}
    if {"ge", "le"} <= bounds.keys():
        return f" from {bounds['ge']} to {bounds['le']}"
    words = [f"{_BOUNDS[name]} {bounds[name]}" for name in _BOUNDS if name in bounds]
    return " " + " and ".join(words) if words else ""


_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
