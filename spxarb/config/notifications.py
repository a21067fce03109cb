"""The section `notifications`: where alerts go, and of what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spxarb.config.section import FilePath, Section, Text

SMTP_PORTS = {"none": 25, "starttls": 587, "tls": 465}
"""The usual port of each kind of connection."""


class NotificationsSettings(Section):
    """Alerts."""

    email_enabled: bool = Field(default=False, description="Send alerts.")
    email_address: Text | None = Field(
        default=None, description="E-mail address for alerts; several are separated by commas."
    )
    smtp_host: Text | None = Field(
        default=None, description="Mail server that takes the e-mail; null: the one on this machine."
    )
    smtp_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port; null: 25, with starttls 587, with tls 465."
    )
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="none", description="How the connection to it is encrypted."
    )
    smtp_user: Text | None = Field(
        default=None, description="User name there; null: no log-in. The password is never in this file."
    )
    smtp_password_file: FilePath | None = Field(
        default=None,
        description="File with the password, readable by its owner alone; null: systemd's smtp-password.",
    )
    smtp_from: Text | None = Field(
        default=None, description="Sender of the e-mail; null: spxarb at this machine's name."
    )
    urls_file: FilePath | None = Field(
        default=None,
        description="File with apprise URLs, one a line, readable by its owner alone; null: systemd's "
        "notify-urls, if there is one.",
    )
    entry: bool = Field(default=True, description="Tell of a spread that was entered, or begun and undone.")
    exit: bool = Field(default=True, description="Tell of a spread that was exited.")
    skipped_by_fault: bool = Field(
        default=True, description="Tell of an entry that a fault prevented: data, clock, margin not answered."
    )
    error: bool = Field(default=True, description="Tell of a job that failed (exit 1, 3, 4, 5, 7).")
    human_needed: bool = Field(
        default=True, description="Tell of what needs a human (exit 6), and of limits that cannot be checked."
    )
    daily_summary: bool = Field(default=True, description="Tell the day's result, with settle.")
    missed_run: bool = Field(default=True, description="Tell of a job that was due and never ran.")
