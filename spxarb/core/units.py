"""systemd's units as text, from typed values: the one source of the files that are shipped and installed.

Every service runs under the same restrictions (`HARDENING`); what one needs beyond them stands in the
function that makes it, with the reason. Nothing here looks at the machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.budgets import Waits, start_seconds, stop_seconds
from spxarb.core.failed_unit import failed_script
from spxarb.core.firings import JOBS, Job, TimerTimes, calendar_lines, firings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STATE_FOLDER = "/var/lib/spxarb"
MARK = "# Written by spxarb."
DIGEST = "# Unchanged since then, while its digest is "
ANY = "any"
GATEWAY_UNIT = "ib-gateway.service"
FAILED_UNIT = "spxarb-failed@.service"
SENDER = "alerts"
SENDING = frozenset({"alerts", "watchdog"})
"""The jobs that send alerts: they alone may reach other hosts, and need the secrets for that."""
SECRETS = ("notify-urls", "smtp-password")
"""What `channels.py` asks systemd for, by the names of credentials."""
SYSTEM_CODE = ("/usr", "-/bin", "-/sbin", "-/lib", "-/lib32", "-/lib64")
"""Where programs and libraries of the system are; a `-` before one that may be missing."""
NOT_RUN = ("/", "-/run", "-/tmp", "-/var/tmp", "-/dev/shm")
"""What every service may write, by systemd's leave or by its own: nothing there is run."""

CODE_ONLY = (  # seccomp alone: a user's own manager can set these too
    "NoNewPrivileges=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources @obsolete",
    "SystemCallErrorNumber=EPERM",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "LimitCORE=0",
    "UMask=0077",
)
HARDENING = (
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "PrivateUsers=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "PrivateIPC=yes",
    "PrivateMounts=yes",
    "DevicePolicy=closed",
    "ProtectSystem=strict",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "KeyringMode=private",
    "RemoveIPC=yes",
    *CODE_ONLY,
)
PYTHON = (
    "Environment=PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1",
    "UnsetEnvironment=PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONUSERBASE",
)


@dataclass(frozen=True, slots=True)
class DefaultWaits:
    """The waits of a configuration that sets none; a test holds them against the schema."""

    order_timeout_seconds: float = 30
    max_retry_attempts: int = 3
    quote_timeout_seconds: float = 10
    connect_timeout_seconds: float = 10
    question_timeout_seconds: float = 10
    exit_rungs: int = 6
    exit_rung_seconds: float = 5
    lock_timeout_seconds: float | None = None


@dataclass(frozen=True)
class UnitValues:
    """What of the configuration, and of the machine, stands in the units.

    `user`: whom the system's services run as; None: they are a user's own, in his own manager. `config`: the
    file that every command is given; None: it looks in its usual places. `code`: folders beside the system's
    from which code runs. `shown`: folders that are needed though they lie below a hidden one. `writable`:
    where the configuration keeps files outside the state folder. `gateway_hosts`, `alert_hosts`, `ping_hosts`
    (by job): addresses that may be reached beside this machine's own; `any` for names: theirs change.
    `secrets`: the files of credentials, by their names.
    """

    times: TimerTimes = field(default_factory=TimerTimes)
    waits: Waits = field(default_factory=DefaultWaits)
    max_spreads_per_day: int = 2
    program: str = "/usr/local/bin/spxarb"
    config: str | None = None
    user: str | None = "spxarb"
    gateway_unit: str = GATEWAY_UNIT
    code: tuple[str, ...] = ("-/opt/spxarb",)
    shown: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    gateway_hosts: tuple[str, ...] = ()
    alert_hosts: tuple[str, ...] = (ANY,)
    ping_hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    email_address: str = "root"
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_system(self) -> bool:
        return self.user is not None


def render_units(values: UnitValues) -> dict[str, str]:
    """Every unit of ours by its file's name, each with the digest by which a change by hand is seen."""
    found = {FAILED_UNIT: _failed(values)}
    for job in JOBS:
        found[f"spxarb-{job.name}.service"] = _service(job, values)
        found[f"spxarb-{job.name}.timer"] = _timer(job, values.times)
    return {name: sealed(text) for name, text in found.items()}


# --- the digest -------------------------------------------------------------------------------------


def sealed(text: str) -> str:
    """The text below its own digest."""
    return f"{MARK} Change a unit by a drop-in: `systemctl edit UNIT`.\n{DIGEST}{_digest(text)}.\n{text}"


def is_ours(text: str) -> bool:
    """Whether spxarb has written the file, as it is or before it was changed."""
    return text.startswith(MARK)


def is_unchanged(text: str) -> bool:
    """Whether the file is as spxarb wrote it, whatever version and configuration that was."""
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    return first.startswith(MARK) and second == f"{DIGEST}{_digest(body)}."


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- the units --------------------------------------------------------------------------------------


def _service(job: Job, values: UnitValues) -> str:
    unit = [f"Description=spxarb {job.verb}: {job.purpose}"]
    if values.is_system:
        after = ("network-online.target", "time-sync.target", values.gateway_unit)
        unit += ["Wants=network-online.target", f"After={' '.join(filter(None, after))}"]
    unit.append(f"OnFailure={FAILED_UNIT.replace('@', '@%n')}")
    if job.name in SENDING:
        unit.append("StartLimitIntervalSec=0")
    else:
        sender = f"spxarb-{SENDER}.service"
        unit += [f"OnFailure={sender}", f"OnSuccess={sender}"]
    words = [values.program, *(["--config", values.config] if values.config else []), job.verb]
    service = [
        "Type=oneshot",
        *([f"User={values.user}"] if values.is_system else []),
        f"ExecStart={' '.join(map(word, words))}",
        "# SIGTERM before anything was sent: nothing is at risk that was not before.",
        "SuccessExitStatus=143",
        "# The command's own deadlines end it before these; they are for a process that hangs anyway.",
        f"TimeoutStartSec={start_seconds(job.verb, values.waits, values.max_spreads_per_day)}",
        f"TimeoutStopSec={stop_seconds(job.verb)}",
        *_state(values),
        *PYTHON,
        *_sending(job, values),
        *(_network(job, values) if values.is_system else ()),
        *_restrictions(values, "%S/spxarb", *map(word, values.writable)),
    ]
    return _text([_what_for(job)], {"Unit": unit, "Service": service})


def _what_for(job: Job) -> str:
    return f"# {job.purpose[0].upper()}{job.purpose[1:]}; started by spxarb-{job.name}.timer."


def _state(values: UnitValues) -> Iterable[str]:
    """Where the command may write. A user's own services write where his commands do."""
    if not values.is_system:
        return ()
    return (
        "StateDirectory=spxarb",
        "StateDirectoryMode=0700",
        "WorkingDirectory=%S/spxarb",
        *(f"ReadWritePaths={word(path)}" for path in values.writable),
    )


def _sending(job: Job, values: UnitValues) -> Iterable[str]:
    """The jobs leave their alerts in the ledger; another unit, which may reach other hosts, sends them."""
    if job.name in SENDING:
        return (
            "# Secrets for alerts, from notifications.urls_file and smtp_password_file: they may be root's.",
            *(f"LoadCredential={name}:{path.replace('%', '%%')}" for name, path in values.secrets.items()),
            *(f"#LoadCredential={name}:/etc/spxarb/{name}" for name in SECRETS if name not in values.secrets),
        )
    return (
        "# Alerts are left in the ledger: spxarb-alerts.service sends them.",
        "Environment=SPXARB_ALERTS=outbox",
    )


def _network(job: Job, values: UnitValues) -> Iterable[str]:
    hosts = values.alert_hosts if job.name in SENDING else values.gateway_hosts
    hosts = (*hosts, *values.ping_hosts.get(job.name, ()))
    allowed = " ".join(dict.fromkeys(["localhost", *hosts]))
    why = "Where alerts go" if job.name in SENDING else "The gateway"
    if ANY in hosts:
        return (f"# {why}: hosts by name, whose addresses change.", "IPAddressAllow=any")
    return (f"# {why}, and nothing else.", "IPAddressDeny=any", f"IPAddressAllow={allowed}")


def _restrictions(values: UnitValues, *written: str) -> Iterable[str]:
    """What the service may not; `written`: the folders where it may write, beside those of every service."""
    if not values.is_system:
        return CODE_ONLY
    code = " ".join([*SYSTEM_CODE, *map(word, values.code)])
    hidden = "tmpfs" if values.shown else "yes"
    return (
        *HARDENING,
        f"ProtectHome={hidden}",
        *(f"BindReadOnlyPaths={word(path)}" for path in values.shown),
        "# What can be written is never run, and what is run is never written. Each folder is named: systemd",
        "# 252 leaves those that have a line of their own as they are.",
        f"NoExecPaths={' '.join([*NOT_RUN, *written])}",
        f"ExecPaths={code}",
        f"BindReadOnlyPaths={code}",
    )


def _timer(job: Job, times: TimerTimes) -> str:
    about = [
        "# New York time, whatever the machine's zone. The command knows holidays and half-days: it does",
        "# nothing where nothing is to be done.",
    ]
    lines = [f"OnCalendar={line}" for line in calendar_lines(firings(job.name, times))]
    made_up = (
        "Missed while the machine was off: it is made up for." if job.persistent else _NOT_MADE_UP[job.name]
    )
    timer = [*lines, f"# {made_up}", f"Persistent={'true' if job.persistent else 'false'}", "AccuracySec=1s"]
    return _text(
        about,
        {
            "Unit": [f"Description=spxarb {job.verb}: {job.purpose}"],
            "Timer": timer,
            "Install": ["WantedBy=timers.target"],
        },
    )


_NOT_MADE_UP = {
    "enter": "A missed attempt is not made up for: the strategy does not enter late.",
    "monitor": "The next minute's or the next five minutes' run does what this one would have done.",
    "watchdog": "It tells of now.",
    "alerts": "The next run sends what waits.",
}


def _failed(values: UnitValues) -> str:
    """The notifier: a shell and tools of the system, nothing of spxarb, and no user that may be missing."""
    service = [
        "Type=oneshot",
        *(["DynamicUser=yes", "User=spxarb-failed"] if values.is_system else []),
        *(["SupplementaryGroups=tty"] if values.is_system else []),
        "RuntimeDirectory=spxarb-failed",
        "RuntimeDirectoryPreserve=yes",
        "# Addresses that take a text by POST, one a line: a push service, a mail gateway.",
        "#LoadCredential=failed-urls:/etc/spxarb/failed-urls",
        f"Environment={word(f'MAIL_TO={values.email_address}')}",
        f"ExecStart={failed_script()}",
        "TimeoutStartSec=90",
        *(("# Where it tells is not known here.", "IPAddressAllow=any") if values.is_system else ()),
        *(_restrictions(UnitValues(code=()), "%t/spxarb-failed") if values.is_system else CODE_ONLY),
    ]
    about = [
        "# Tells that a unit of spxarb failed, by what the system has: journal, terminals, mail, addresses.",
        "# Nothing of spxarb runs here, so it tells too where spxarb cannot start: once an hour.",
    ]
    return _text(about, {"Unit": ["Description=%i failed: tell a human"], "Service": service})


def word(text: str) -> str:
    """One word of a command line or of a list of paths, whatever letters are in it (systemd.syntax(7))."""
    text = text.replace("%", "%%")
    if not set(text) & set(" \t\"'\\$;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'


def _text(about: list[str], sections: dict[str, list[str]]) -> str:
    parts = ["\n".join(about)] + [
        "\n".join([f"{'' if place == 0 else chr(10)}[{name}]", *lines])
        for place, (name, lines) in enumerate(sections.items())
    ]
    return "\n".join(parts) + "\n"
