"""A secret is fed through every way in which alerts fail, at DEBUG, and looked for in all that comes out."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from actions import lonely
from relay import free_port

from spxarb import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

TOKEN = "xoxb99s3cr3t"
SHORT = "7q"
"""A chat's number or a room's name: a secret too."""
ON = {"email_enabled": True}


class Echo(BaseHTTPRequestHandler):
    """A server that refuses, and repeats all that it was told; it looks who names the secret meanwhile."""

    def do_POST(self) -> None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                self.server.words.append(place.read_bytes())  # type: ignore[attr-defined]
        body = f"{self.path} {self.headers}".encode()
        self.send_response(401, f"no {self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def echo() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.words = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def stage(tmp_path) -> Stage:
    made = lonely(tmp_path, free_port())
    write(made)
    return made


def write(stage: Stage, **notifications: object) -> None:
    stage.write_config(
        trading={"mode": "paper"},
        execution={"connect_timeout_seconds": 0.4},
        logging={"console": True, "level": "DEBUG"},
        notifications=ON | notifications,
    )


def assert_nowhere(stage: Stage, *ended: Done, but: tuple[Path, ...] = ()) -> None:
    """In no output, and in no file but those in which the user wrote it."""
    given = {stage.config, stage.folder / ".env", *but}
    texts = {f"{number}: out": done.out for number, done in enumerate(ended)}
    texts |= {f"{number}: err": done.err for number, done in enumerate(ended)}
    for path in stage.folder.rglob("*"):
        if path.is_file() and path not in given:
            texts[path.name] = path.read_bytes().decode("latin-1")
    for where, text in texts.items():
        for secret in (TOKEN, f":{SHORT}", f"/{SHORT}"):
            assert secret not in text, (where, text[max(text.index(secret) - 300, 0) :][:600])


def everything(stage: Stage, **environment: str) -> tuple[Done, ...]:
    """Commands that send, show or log: with and without JSON."""
    return (
        stage.run("monitor", env=environment),
        stage.run("doctor", "--send-test", env=environment),
        stage.run("config", env=environment),
        stage.run("config", as_json=False, env=environment),
    )


URLS = (
    "json://user:{token}@127.0.0.1:{port}/{token}/{short}?key={token}",
    "tgram://123456789:AAb{token}/{short}",
    "slack://{token}/{token}/{token}/#{short}",
    "mailto://me:{token}@127.0.0.1:{port}?to={short}@example.com",
    "https://hooks.example.invalid/services/{token}/{short}",
    "https:/hooks.example.invalid/services/{token}",
    "hooks.example.invalid/services/{token}://",
    "{token}",
    "nosuchkind://{token}/{short}",
)


def test_an_address_in_the_environment_in_a_file_or_among_credentials_is_told_nowhere(stage):
    with echo() as server:
        text = " ".join(URLS).format(token=TOKEN, short=SHORT, port=server.server_address[1])
        ended = everything(stage, SPXARB_NOTIFY_URL=text)
        assert "alert was not sent" in ended[1].err
        assert server.words, "the sender was looked at while it sent"  # type: ignore[attr-defined]
        assert not any(TOKEN.encode() in words for words in server.words)  # type: ignore[attr-defined]
    assert_nowhere(stage, *ended)
    for name in ("notify-urls", "SPXARB_NOTIFY_URL"):
        folder = stage.folder / f"credentials {name}"
        folder.mkdir()
        (folder / name).write_text("\n".join(URLS[:3]).format(token=TOKEN, short=SHORT, port=free_port()))
        (folder / name).chmod(0o440)  # as systemd has it, by an ACL
        done = stage.run("doctor", "--send-test", env={"CREDENTIALS_DIRECTORY": str(folder)})
        assert "slack" in done.out
        assert_nowhere(stage, done, but=(folder / name,))
        (folder / name).unlink()
    urls = stage.folder / "urls"
    urls.write_text("\n".join(URLS).format(token=TOKEN, short=SHORT, port=free_port()))
    write(stage, urls_file="urls")
    for mode, told in ((0o600, "slack"), (0o644, "chmod 600"), (0o666, "chmod go-w")):
        urls.chmod(mode)
        done = stage.run("doctor", "--send-test")
        assert told in done.out
        assert_nowhere(stage, done, but=(urls,))


MISPLACED = (
    {"email_address": f"https://hooks.example.com/services/{TOKEN}"},
    {"email_address": f"https:/hooks.example.com/services/{TOKEN}"},
    {"email_address": f"hooks.example.com/services/{TOKEN}"},
    {"email_address": f"tgram://{TOKEN}/{SHORT}"},
    {"email_address": "me@example.com", "smtp_host": f"smtps://me:{TOKEN}@mail.example.com"},
    {"urls_file": f"https://hooks.example.com/services/{TOKEN}"},
    {"urls_file": f"https:/hooks.example.com/services/{TOKEN}"},
    {"email_address": [f"https://hooks.example.com/services/{TOKEN}"]},
    {"notify_url": f"https://hooks.example.com/services/{TOKEN}"},
    f"https://hooks.example.com/services/{TOKEN}",
)


def test_an_address_in_the_wrong_key_is_refused_and_not_shown(stage):
    ended = []
    for number, given in enumerate(MISPLACED):
        if isinstance(given, dict):
            write(stage, **given)
        else:
            stage.config.write_text(f"logging: {{level: DEBUG}}\nnotifications: {given}\n")
        ended += [stage.run("config"), stage.run("monitor")] if number else everything(stage)
        assert ended[-1].code == 3, (given, ended[-1].err)
        assert "notifications" in ended[-1].err
    write(stage)
    for name in ("EMAIL_ADDRESS", "IB_HOST", "SPXARB_DATABASE", "TRADING_MODE", "IB_PORT"):
        ended.append(stage.run("monitor", env={name: f"https://me:{TOKEN}@hooks.example.com/{TOKEN}"}))
        assert ended[-1].code == 3, (name, ended[-1].err)
    for line in (
        f"SPXARB_NOTIFY_URLS=tgram://{TOKEN}/{SHORT}",
        f"SPXARB_NOTIFY_URL tgram://{TOKEN}/{SHORT}",
        f'SPXARB_NOTIFY_URL="tgram://{TOKEN}/{SHORT}',
        f"SPXARB_NOTIFY_URL=a\nSPXARB_NOTIFY_URL=tgram://{TOKEN}/{SHORT}",
        f"EMAIL_ADDRESS=tgram://{TOKEN}/{SHORT}",
    ):
        (stage.folder / ".env").write_text(f"{line}\n")
        (stage.folder / ".env").chmod(0o600)
        ended += [stage.run("config"), stage.run("monitor")]
        assert ended[-1].code == 3, (line, ended[-1].err)
    assert_nowhere(stage, *ended)


def test_an_address_that_was_taken_for_a_file_stands_in_no_log_and_in_no_ledger(stage):
    write(stage, email_enabled=False)
    assert stage.run("stop").code == 0  # it makes both
    for words in (("reconcile", "--statement"), ("restore",), ("report", "--csv", "--output")):
        done = stage.run(*words, f"https://hooks.example.com/services/{TOKEN}")
        assert done.code == 2, done.err
    assert_nowhere(stage)
    journal = logs.for_the_journal(f"https:/hooks.example.com/services/{TOKEN} is no file")
    assert journal == "<3>https://hooks.example.com/*** is no file"


def test_a_yaml_file_that_is_none_does_not_show_what_stands_in_it(stage):
    for text in (f"notifications: *{TOKEN}", f"a: &{TOKEN} b", f"notifications: {{a: '{TOKEN}", f"{TOKEN}"):
        stage.config.write_text(f"{text}\n")
        done = stage.run("config")
        assert (done.code, TOKEN in done.err + done.out) == (3, False), done.err


def test_a_password_is_told_nowhere(stage):
    password = stage.folder / "password"
    password.write_text(TOKEN)
    write(
        stage,
        email_address="me@example.com",
        smtp_host="127.0.0.1",
        smtp_port=free_port(),
        smtp_user="me",
        smtp_password_file="password",
    )
    for mode in (0o600, 0o644, 0o620):
        password.chmod(mode)
        assert_nowhere(stage, stage.run("doctor", "--send-test"), stage.run("monitor"), but=(password,))


# --- accounts, and who may read ------------------------------------------------------------------------


def test_no_log_shows_a_whole_account_and_a_debug_log_no_byte_of_the_wire(tmp_path):
    from actions import enter, playing

    with playing(tmp_path) as stage:
        stage.write_config(logging={"console": True, "level": "DEBUG"})
        ended = [enter(stage), stage.run("monitor"), stage.run("status")]
        stage.write_config(logging={"console": True, "level": "DEBUG"}, ib={"account": "SIM0000009"})
        ended.append(stage.run("monitor"))
        log = (tmp_path / "trading.log").read_text()
        logged = [
            line for done in ended for line in done.err.splitlines() if " DEBUG " in line or " INFO " in line
        ]
    assert ended[-1].code == 5
    for text in (log, "\n".join(logged)):
        assert "SIM0000001" not in text
        assert "SIM0000009" not in text
        assert "<<<" not in text
        assert ">>>" not in text
    assert "SIM***" in log


def test_a_dotenv_that_everybody_may_read_is_a_warning(stage):
    env = stage.folder / ".env"
    env.write_text("TWS_USERID=me\nEMAIL_ENABLED=false\n")
    for mode, warned in ((0o600, False), (0o640, False), (0o644, True)):
        env.chmod(mode)
        done = stage.run("monitor", as_json=False)
        assert done.code == 4
        assert (f"Every user of this machine may read {env}" in done.err) == warned, done.err
    assert f"`chmod 600 {env}`" in stage.run("doctor").out
