"""Pings to a dead-man service in the manner of Healthchecks: a command's start, and its exit status.

`POST <url>/start?rid=<UUID>` when it starts, `POST <url>/<exit code>?rid=<the same>` when it has ended; the
service measures the time between them, and raises its own alarm where neither comes
(https://healthchecks.io/docs/http_api/, "Measuring script execution time"). The body is one line.

A process of its own sends (`python -m spxarb.ping`): the start goes out beside the job, which waits for
nothing; the end is waited for until a deadline, last of all. It has the address from its stdin and not from
an argument or the environment, which others can read. No redirect is followed: what an address leads to
elsewhere is not what the owner named. Where the job dies, no end is sent, and the service notices.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from spxarb import children

START = "start"
SHARE_OF_START = 0.5
"""How much of the deadline the end waits for a start that is still under way: they should arrive in order."""
LONGEST_LINE = 300


class Pings:
    """The pings of one command, from its start on. Never raises."""

    def __init__(self, url: str, deadline: float) -> None:
        self._deadline = deadline
        self._process = _process()
        self._tell({"url": url, "rid": str(uuid.uuid4()), "deadline": deadline})

    def end(self, exit_code: int, line: str) -> str:
        """Send the exit status, and wait for it until the deadline. Why not all arrived; empty: it did."""
        process = self._process
        if process is None:
            return "their process could not be started"
        self._tell({"exit_code": exit_code & 0xFF, "line": " ".join(line.split())[:LONGEST_LINE]})
        try:
            answer, _ = process.communicate(timeout=self._deadline)
            return str(json.loads(answer))
        except subprocess.TimeoutExpired:
            return f"no answer within {self._deadline:g} s"
        except (OSError, ValueError):
            return f"their process ended with {process.poll()}"
        finally:
            children.end(process)

    def _tell(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()


def _process() -> subprocess.Popen[str] | None:
    with suppress(OSError):
        return subprocess.Popen(  # noqa: S603 -- our own command
            children.python("spxarb.ping"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=children.environment(),
            cwd=children.ANYBODYS,  # a folder of its own would outlive a job that is killed
            start_new_session=True,  # Ctrl-C is the job's
        )
    return None


# --- in the process that sends ------------------------------------------------------------------------


def address(url: str, what: str, rid: str) -> str:
    """`https://host/key/start?rid=...`: behind the path, before what else is asked."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, f"rid={rid}"]))
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{what}", query=query))


def _send(url: str, body: str, seconds: float) -> str:
    """Why it did not arrive; empty when it did. `seconds`: for each answer of the network."""
    import urllib.error  # noqa: PLC0415 -- slow, and only this process needs it
    import urllib.request  # noqa: PLC0415 -- likewise

    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            """No other address is asked: the answer is then an error."""

    request = urllib.request.Request(url, body.encode(), {"User-Agent": "spxarb"}, method="POST")  # noqa: S310 -- the configuration takes http and https alone
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=seconds) as answer:
            return "" if answer.status < 300 else f"it answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except urllib.error.URLError as error:
        why = error.reason
        return why.strerror or type(why).__name__ if isinstance(why, OSError) else "it cannot be reached"
    except Exception as error:  # noqa: BLE001 -- a ping that fails is told, not raised; its words may hold the address
        return getattr(error, "strerror", None) or type(error).__name__


def main() -> None:
    """Send the start at once, and the end when stdin tells of it; why something did not arrive, on stdout."""
    told = json.loads(sys.stdin.readline())
    url, rid, seconds = str(told["url"]), str(told["rid"]), float(told["deadline"])
    problems: list[str] = []

    def start() -> None:
        if problem := _send(address(url, START, rid), "", seconds):
            problems.append(f"start: {problem}")

    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    line = sys.stdin.readline()
    if not line.strip():
        os._exit(0)  # the job died: that there is no end is what the service must notice
    ended = json.loads(line)
    starting.join(seconds * SHARE_OF_START)
    if problem := _send(address(url, str(ended["exit_code"]), rid), str(ended["line"]), seconds):
        problems.append(f"exit status: {problem}")
    sys.stdout.write(json.dumps("; ".join(problems)))
    sys.stdout.flush()
    os._exit(0)  # a start that hangs is left behind


if __name__ == "__main__":
    main()
