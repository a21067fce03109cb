"""The notifier's script, in plain sh, and how it stands in a unit.

It must work where nothing of spxarb does: Python gone, the disk full, the user missing. The journal always
gets the line. Terminals, mail and addresses are told at most once an hour for each unit, for a job that fails
fails again a minute later.
"""

from __future__ import annotations

FAILED_SCRIPT = (
    'unit="$1";',
    'why="${MONITOR_SERVICE_RESULT:-see the journal} ${MONITOR_EXIT_STATUS:-}";',
    'text="spxarb: $unit failed on $(uname -n): $why. Look at the account, then: journalctl -u $unit";',
    'echo "<2>$text";',
    'stamp="$RUNTIME_DIRECTORY/$unit"; told="";',
    'if [ -n "$(find "$stamp" -mmin -60 2>/dev/null)" ]; then exit 0; fi;',
    'if [ -n "$(who)" ] && wall "$text" 2>/dev/null; then told="$told terminals"; fi;',
    'if [ -r "$CREDENTIALS_DIRECTORY/failed-urls" ]; then',
    'while read -r url || [ -n "$url" ]; do',
    'if [ -n "$url" ] && echo "url = $url" |',
    'curl -fsS -m 20 -o /dev/null --data-binary "$text" -K - ; then told="$told address"; fi;',
    'done <"$CREDENTIALS_DIRECTORY/failed-urls"; fi;',
    'if { echo "Subject: $unit failed on $(uname -n)"; echo "To: $MAIL_TO"; echo; echo "$text"; } |',
    'curl -fsS -m 20 smtp://127.0.0.1 --mail-from "spxarb@$(uname -n)" --mail-rcpt "$MAIL_TO" -T -',
    '>/dev/null 2>&1; then told="$told mail"; fi;',
    'if [ -n "$told" ]; then : >"$stamp"; echo "<5>told by$told";',
    'else echo "<3>told nobody: no terminal, no mail server here, no address in failed-urls"; fi',
)
"""In a unit all lines are one: each ends with `;` or goes on in the next. No backslash, no quote `'`."""


def failed_script() -> str:
    """The script as the value of `ExecStart=`: `$` and `%` doubled; the unit's name is its argument."""
    lines = [line.replace("%", "%%").replace("$", "$$") for line in FAILED_SCRIPT]
    return "/bin/sh -c '" + " \\\n  ".join(lines) + "' sh %i"
