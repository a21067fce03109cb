"""The example files and the table of all keys, generated from the schema."""

from __future__ import annotations

import textwrap
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.config.schema import SECTIONS, expected, field_of
from spxarb.config.variables import (
    ALERTS_VARIABLE,
    CONFIG_VARIABLE,
    CREDENTIALS_VARIABLE,
    ENVIRONMENT,
    FLEX_QUERY_VARIABLE,
    FLEX_TOKEN_VARIABLE,
    NOTIFY_VARIABLE,
    WAIT_VARIABLE,
    WIRE_VARIABLE,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """\
# spxarb's configuration: every key with its default. Trading on paper needs none of it.
#
# Read from --config, else $SPXARB_CONFIG, else the first that exists of
#   ./config.yaml   ~/.config/spxarb/config.yaml   /etc/spxarb/config.yaml
# A command-line option wins over an environment variable, which wins over a .env file beside this one,
# which wins over this file. Relative paths are relative to this file's folder. Times are New York times.
# Nobody but you and root may write this file or its folders (chmod go-w); else it is not read (exit 3).
"""

_INTRO = """\
# Configuration

Generated from the schema; `config.example.yaml` has the same keys with their defaults.

Precedence: command-line option > environment variable > `.env` > YAML file > default. The YAML file is that
of `--config`, else of `$SPXARB_CONFIG`, else the first that exists of `./config.yaml`,
`~/.config/spxarb/config.yaml`, `/etc/spxarb/config.yaml`. The `.env` is the one beside it; where there is
none, and neither `--config` nor `$SPXARB_CONFIG` names the file, the one in the working folder. An empty
environment variable counts as not set. Relative paths in the file are relative to the file's folder, those
in the environment to the working folder.

All problems are reported at once, in one line, with exit code 3; `spxarb config` shows them beside every
setting, its value and where it comes from. Problems of `dashboard.*` stop no verb but `dashboard`: the
others go on with its defaults, and say so.

Nothing is expanded: a path that holds `$`, quotation marks, blanks at the ends of a name, characters that
cannot be seen, a URL, or a `~` that leads nowhere is refused. So is a name in `.env` that is almost one of
the variables below, or that of a key without a variable; other programs' names are left alone. Where a
variable wins over another value in the file, `spxarb config`, `doctor` and `enter` name both.

A YAML file is plain: anchors (`&`), aliases (`*`) and merge keys (`<<`) are refused, as is a file of more
than 262,144 bytes, 5,000 values or 8 levels. A number of more than 64 characters, or with an exponent
beyond 18, is no number that a setting can be.

## Whose files are read

The YAML file, `.env`, the blackout file, and the files with a password or with addresses decide about money
or hold a secret. Each is read only where nobody but you and root can have written it; anything else is exit
3 (for the blackout file: no entries), with the reason and how to mend it:

* It is a regular file (a pipe is never waited for) that belongs to you or to root, and neither its group
  nor others may write it: `chmod go-w FILE`. That holds for a group in which only you are, too: who is in a
  group changes, and not every system tells.
* So do the folders on its way, up to `/`, for who may write a folder can put another file into its place. A
  folder with the sticky bit, such as `/tmp`, keeps a file safe that you name.
* What is merely looked for, `.env` and `./config.yaml`, is refused in such a folder too: it may have been
  put there for you to find. Name the file with `--config`, or work in a folder of your own.
* Symbolic links are followed, and the folders of a link are judged like all others on the way.
* A file with a password or with addresses may be read by nobody else either (`chmod 600`); systemd's
  credentials are as systemd makes them. A `.env` that every user of the machine may read is a warning of
  `doctor`, `enter` and `monitor`.

While such a file is refused, `monitor` and `close-all` exit open positions with the limits that are stored
with them, and end with 3 (6 where something due stays open). Of the refused file they take only where the
ledger is, and only a ledger that belongs to you and that nobody else can have written. `python -m spxarb`
runs what Python finds in the working folder first, which is your choice; the command `spxarb`, and all
processes that it starts, do not.
"""

_ENVIRONMENT_ONLY = {
    CONFIG_VARIABLE: "The YAML file to read.",
    NOTIFY_VARIABLE: "Where alerts go: any apprise URL, several separated by blanks. With it e-mail is sent "
    "only where `notifications.smtp_host` is set. A secret: never logged.",
    CREDENTIALS_VARIABLE: "Where systemd puts the secrets of `LoadCredential=`: `smtp-password` and "
    "`notify-urls` are used; the latter may be called `SPXARB_NOTIFY_URL`, too.",
    FLEX_TOKEN_VARIABLE: "The token of IB's Flex web service, for `spxarb reconcile --fetch`. A secret: read "
    "only from the environment or a `.env` that not everybody can read (0600), never logged.",
    FLEX_QUERY_VARIABLE: "The number of the flex query that `spxarb reconcile --fetch` asks for.",
    WIRE_VARIABLE: "A folder: every command that connects records its wire into a file of its own there, "
    "redacted ([paper.md](paper.md)).",
    ALERTS_VARIABLE: "`outbox`: alerts wait in the ledger until `spxarb send-alerts` sends them. The "
    "units of systemd set it: what trades reaches no other host there.",
    WAIT_VARIABLE: "For tests and simulation only: real seconds for each second of the program's own waits, "
    "such as 0.1; those that are configured stay. Refused in every mode but `sim`.",
    "STATE_DIRECTORY": "The state folder, as systemd sets it; else `spxarb` in the user's state folder.",
}


_NOT_IN_ENV = {WAIT_VARIABLE, ALERTS_VARIABLE, "STATE_DIRECTORY"}
_IN_ENV = [(name, said) for name, said in _ENVIRONMENT_ONLY.items() if name not in _NOT_IN_ENV]
"""What may stand in a `.env` and has no key."""
_ENV_HEAD = """\
# Environment variables of spxarb: save this as .env beside config.yaml, and let nobody else read it
# (chmod 600 .env). Take the # away where a value is to be set. What stands here wins over config.yaml, and a
# variable of the process wins over this; `spxarb config` shows which is in force. Nothing is expanded.
"""


def example() -> str:
    """The text of `config.example.yaml`."""
    parts = [_HEAD]
    for section, model in SECTIONS.items():
        lines = [f"\n# {model.__doc__}", f"{section}:"]
        for key, field in model.model_fields.items():
            lines += textwrap.wrap(_remark(field), 100, initial_indent="  # ", subsequent_indent="  # ")
            lines.append(f"  {key}: {as_yaml(field.default)}")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def table() -> str:
    """The text of `docs/configuration.md`."""
    variables = {key: name for name, (key, _) in ENVIRONMENT.items()}
    parts = [_INTRO]
    for section, model in SECTIONS.items():
        parts.append(f"\n## {section}\n\n{model.__doc__}\n\n")
        parts.append("| key | default | accepts | environment | meaning |\n|---|---|---|---|---|\n")
        for key, field in model.model_fields.items():
            name = variables.get(f"{section}.{key}")
            shown = f"`{name}`" if name else ""
            parts.append(
                f"| `{section}.{key}` | `{as_yaml(field.default)}` | {expected(field)} | {shown} "
                f"| {field.description} |\n"
            )
    parts.append("\n## Environment only\n\n| variable | meaning |\n|---|---|\n")
    parts += [f"| `{name}` | {meaning} |\n" for name, meaning in _ENVIRONMENT_ONLY.items()]
    return "".join(parts)


def as_yaml(value: object) -> str:
    """A default as it stands in the file."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case time():
            return f'"{value:%H:%M}"'
        case tuple():
            return f"[{', '.join(map(str, value))}]"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


def _remark(field: FieldInfo) -> str:
    return f"{field.description} ({expected(field)})"


def env_example() -> str:
    """The text of `env.example`, which becomes a `.env`."""
    parts = [_ENV_HEAD]
    for name, (key, _) in ENVIRONMENT.items():
        field = field_of(key)
        default = "" if field.default is None else as_yaml(field.default)
        parts.append("\n".join(["", *_wrapped(f"{key}: {_remark(field)}"), f"#{name}={default}", ""]))
    parts += ["\n".join(["", *_wrapped(said.replace("`", "")), f"#{name}=", ""]) for name, said in _IN_ENV]
    return "".join(parts)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")


def write(folder: Path) -> None:
    """Write the files below `folder`, the project's root."""
    (folder / "env.example").write_text(env_example(), encoding="utf-8")
    (folder / "config.example.yaml").write_text(example(), encoding="utf-8")
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "configuration.md").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
