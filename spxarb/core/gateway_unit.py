"""The example of a unit that keeps IB Gateway running with IBC; the user brings both."""

from __future__ import annotations

from spxarb.core.units import HARDENING

_HEAD = """\
# An example: IB Gateway, logged in by IBC, on a virtual display. You bring both, and change this file to fit;
# spxarb never writes it. docs/gateway-unattended.md explains each line and the settings of Gateway and IBC.
[Unit]
Description=IB Gateway, kept logged in by IBC
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=simple
User=ibgateway
StateDirectory=ibgateway
StateDirectoryMode=0700
Environment=HOME=%S/ibgateway
WorkingDirectory=%S/ibgateway
# config.ini holds your login: mode 0600, of the user above. IBC reads it from the folder ibc in its home.
# The Gateway restarts at night in this zone, not in New York's: see AutoRestartTime.
Environment=TZ=America/New_York
ExecStart=/bin/sh -c 'exec xvfb-run -a /opt/ibc/gatewaystart.sh -inline'
# IBC ends when the weekly login is refused or the second factor is not answered: it tries again, slowly, for
# IB locks an account after too many.
Restart=on-failure
RestartSec=60
TimeoutStopSec=60
UMask=0077

# Its network is IB's servers, whose addresses change. Java compiles at run time: no MemoryDenyWriteExecute.
IPAddressAllow=any
"""
_TAIL = """\
ProtectHome=yes

[Install]
WantedBy=multi-user.target
"""
NAME = "ib-gateway.service"


def gateway_example() -> str:
    """The whole file: under the same restrictions as ours, but for what Java needs."""
    own = [line for line in HARDENING if not line.startswith(("MemoryDenyWriteExecute", "UMask"))]
    return "".join([_HEAD, *(f"{line}\n" for line in own), _TAIL])
