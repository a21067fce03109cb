"""The table of faults in ``docs/simulated-gateway-faults.md``, written from the faults themselves.

``python -m tools.docs.faults`` rewrites it, between the two marks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.sim.faults.readers import MESSAGES, REQUESTS
from spxarb.sim.faults.table import GROUPS

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import FaultKind, Parameter

DOCUMENT = Path("docs") / "simulated-gateway-faults.md"
BEGIN, END = "<!-- table of faults -->\n", "<!-- end of the table -->\n"


def table() -> str:
    """All faults, by groups."""
    parts = []
    for group, kinds in GROUPS.items():
        rows = [_row(kind) for kind in kinds]
        parts += [f"\n### {group}\n\n", "| fault | what happens | parameters | lasts | acts on |\n"]
        parts += ["|---|---|---|---|---|\n", *rows]
    parts += ["\n### Names\n\nRequests: ", ", ".join(f"`{name}`" for name in REQUESTS), ".\n"]
    parts += ["\nMessages: ", ", ".join(f"`{name}`" for name in MESSAGES), ".\n\n"]
    return "".join(parts)


def _row(kind: FaultKind) -> str:
    says = "<br>".join(_parameter(parameter) for parameter in kind.parameters)
    lasts = "until its end" if kind.lasting else "once"
    if kind.momentary:
        lasts = "a moment"
    hooks = ", ".join(hook.value for hook in kind.acts)
    return f"| `{kind.name}` | {kind.says} | {says} | {lasts} | {hooks} |\n"


def _parameter(parameter: Parameter) -> str:
    choices = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
    value = parameter.default
    if parameter.required:
        default = ", must be given"
    elif value in {None, ""}:
        default = ""
    else:
        default = f", default {str(value).lower() if isinstance(value, bool) else value}"
    return f"`{parameter.name}`: {parameter.says}{choices}{default}"


def replaced(text: str) -> str:
    """A document with the table as it is now."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table()}{END}{tail}"


def write(root: Path) -> None:
    """Write it below `root`, the project's root."""
    path = root / DOCUMENT
    path.write_text(replaced(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
