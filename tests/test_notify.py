"""Alerts: off costs nothing, on sends, and no failure ever reaches the job. Also the log."""

from __future__ import annotations

import email
import logging
import os
import re
import socket
import socketserver
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from mail_server import dripping_server

from spxarb import logs
from spxarb.channels import channels
from spxarb.config.load import Config, load
from spxarb.notify import send, way

# apprise imports modules that Python is about to drop
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class MailServer(socketserver.ThreadingTCPServer):
    """As much SMTP as it takes to receive one message; `refuse` answers 550 to every recipient."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *, refuse=False) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.refuse = refuse
        self.recipients: list[str] = []
        self.message = ""


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 ready")
        for raw in self.rfile:
            line = raw.decode().strip()
            word = line[:4].upper()
            if word == "RCPT" and not self.server.refuse:
                self.server.recipients.append(re.search(r"<(.*)>", line)[1])
            if word == "RCPT" and self.server.refuse:
                self.say("550 nobody here")
            elif word == "DATA":
                self.say("354 go on")
                self.server.message = "".join(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mail_server():
    servers = []

    def start(**options):
        server = MailServer(**options)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def mail_url(address: str, port: int) -> str:
    """Mail as apprise sends it."""
    return f"mailto://localhost:{port}/?mode=insecure&from=spxarb@localhost&to={address}"


def alerting(url: str) -> Config:
    return load(environ={"EMAIL_ENABLED": "true", "SPXARB_NOTIFY_URL": url})


def test_an_alert_arrives_as_mail_at_the_configured_address(mail_server):
    server = mail_server()
    config = alerting(mail_url("me@example.com", server.server_address[1]))
    assert send(config, "spxarb: a leg without its hedge", "SPY is short 10 calls.") is None
    assert server.recipients == ["me@example.com"]
    assert "Subject: spxarb: a leg without its hedge" in server.message
    assert "SPY is short 10 calls." in server.message


def test_nothing_in_an_alert_steers_whoever_reads_it(mail_server):
    """Such as the name of a file with anything in it; what no encoding has would keep the mail from going."""
    server = mail_server()
    config = alerting(mail_url("me@example.com", server.server_address[1]))
    evil = "\x1b[2J\u202e\udcff\x07"
    assert (
        send(config, f"spxarb:{evil} a\r\nBcc: you@example.com", f"SPY{evil} is short.\r{evil}Look.") is None
    )
    assert server.recipients == ["me@example.com"]
    head, _, body = email.message_from_string(server.message).as_string().partition("\n\n")
    assert "Subject: spxarb: a Bcc: you@example.com" in head
    assert "SPY is short.\nLook." in body.replace("\r\n", "\n")


def test_a_refused_mail_is_told_and_not_raised(mail_server):
    server = mail_server(refuse=True)
    problem = send(alerting(mail_url("me@example.com", server.server_address[1])), "t", "x")
    assert problem is not None
    assert problem.startswith("the alert was not sent: ")
    assert "\n" not in problem


def test_a_server_that_is_not_there_is_told_and_not_raised():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        problem = send(alerting(mail_url("me@example.com", unused.getsockname()[1])), "t", "x")
    assert problem is not None
    assert problem.startswith("the alert was not sent: ")


@pytest.mark.outside
@pytest.mark.parametrize(
    "url", ["json://127.0.0.1:1/a\udcffb", "\udcff\udced\x1b[2J", "mailto://\udcff:x@localhost:1"]
)
def test_an_address_that_no_encoding_has_is_an_alert_that_fails_and_stops_no_job(log_of, url):
    """As a broken byte in an environment reads; the log looks for its parts from the start of each job."""
    problem = send(log_of(EMAIL_ENABLED="true", SPXARB_NOTIFY_URL=url), "t", "x")
    assert problem is not None
    assert problem.startswith("the alert was not sent: ")
    assert problem.isprintable()


def test_a_server_that_never_answers_costs_no_more_than_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = mail_url("me@example.com", silent.getsockname()[1])
        assert send(alerting(url), "t", "x", deadline=0.1) == "the alert was not sent: no answer within 0.1 s"


@pytest.mark.timeout(30)  # far more than its deadline: what it meets goes on for ever
def test_a_server_that_sends_a_byte_a_second_costs_no_more_than_the_deadline_and_leaves_no_process():
    with dripping_server() as port:
        problem = send(alerting(mail_url("me@example.com", port)), "t", "x", deadline=1.5)
    assert problem == "the alert was not sent: no answer within 1.5 s"
    assert senders() == []


def senders() -> list[str]:
    """Command lines of the processes that this one had send alerts."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if "spxarb.notify" in line and "pytest" not in line]


def test_the_secret_address_stands_on_no_command_line_and_in_no_environment(monkeypatch):
    monkeypatch.setenv("SPXARB_NOTIFY_URL", "json://secret-host")
    seen: list[tuple[list[str], dict[str, str]]] = []
    real = subprocess.Popen

    def spy(arguments, **options):
        seen.append((arguments, options["env"]))
        return real(arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", spy)
    send(alerting("json://secret-host.invalid"), "t", "x", deadline=5)
    ((arguments, environment),) = seen
    assert "secret" not in " ".join(arguments)
    assert "secret" not in str(environment)


@pytest.mark.outside
def test_an_address_that_is_none_is_told_without_showing_it():
    problem = send(alerting("nonsense-secret"), "t", "x")
    assert problem is not None
    assert "apprise" in problem
    assert "secret" not in problem


def test_switched_off_nothing_is_sent_and_apprise_is_not_even_loaded():
    code = (
        "import sys; from spxarb.config.load import Config; from spxarb.notify import send;"
        "print(send(Config(), 't', 'x'), 'apprise' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None False\n"


def test_the_secret_address_wins_over_the_mail_address_unless_a_mail_server_is_named_too():
    both = {"EMAIL_ENABLED": "true", "EMAIL_ADDRESS": "me@example.com"}
    assert way(load(environ=both)) == "me@example.com"
    ((mail,), url) = channels(load(environ=both)), {"SPXARB_NOTIFY_URL": "json://h"}
    assert (mail.how["mail"]["host"], mail.how["mail"]["port"]) == ("localhost", 25)
    (only,) = channels(load(environ=both | url))
    assert (only.name, only.how) == ("json", {"url": "json://h"})
    assert way(load(None, both | url, {"notifications.smtp_host": "mail.x.org"})) == "me@example.com, json"


# --- the log ---------------------------------------------------------------------------------------


@pytest.fixture
def log_of(tmp_path):
    """Set the log up with a ledger in tmp_path; every handler is closed after the test."""
    root = logging.getLogger()
    level = root.level

    def set_up(**environ) -> Config:
        config = load(environ={"SPXARB_DATABASE": str(tmp_path / "state/trading.db"), **environ})
        assert logs.setup(config) is None
        return config

    yield set_up
    logs.shutdown()
    logs.trouble()  # is told: no other test hears of it
    root.setLevel(level)


def written(config: Config) -> str:
    assert logs.flush()
    return config.log_path().read_text()


def test_the_log_lies_beside_the_ledger_and_is_its_owners_alone(log_of, capsys):
    config = log_of()
    logging.getLogger("spxarb.jobs").info("reconciled")
    path = config.database_path().with_name("trading.log")
    assert written(config).endswith("spxarb.jobs: reconciled\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert logs.flush()
    out, err = capsys.readouterr()
    assert out == ""
    assert "reconciled" in err


def test_the_log_tells_the_time_in_new_york_with_its_offset(log_of):
    config = log_of()
    logging.getLogger("spxarb").info("x")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-0[45]:00 INFO ", written(config))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_record_is_one_line_whatever_it_quotes_and_a_traceback_passes_for_none(
    log_of, tmp_path, form, capsys
):
    evil = "a\r\n2026-02-10T15:45:00.000-05:00 ERROR 1 spxarb: forged\x1b[2J\u202e\x07\x85"
    config = load(None, {"SPXARB_DATABASE": str(tmp_path / "state/trading.db")}, {"logging.format": form})
    log_of()
    assert logs.setup(config) is None
    logging.getLogger("spxarb").warning("it said %s", evil)
    bug = ValueError(evil)
    logging.getLogger("spxarb").error("failed", exc_info=bug)
    for text in (written(config), capsys.readouterr().err):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert not [line for line in text.splitlines() if line.startswith("2026-02-10")]
        assert text.count("it said a 2026-02-10") == 1


def test_the_secret_address_does_not_reach_the_log_even_in_a_traceback(log_of, capsys):
    config = log_of(SPXARB_NOTIFY_URL="mailtos://me:pass@x.org")
    try:
        int("cannot reach mailtos://me:pass@x.org")
    except ValueError:
        logging.getLogger("spxarb").exception("failed")
    assert "'cannot reach ***'" in written(config)
    assert logs.flush()
    assert "pass" not in written(config) + capsys.readouterr().err


def test_the_library_is_quiet_on_the_console_and_never_writes_the_wires_bytes(log_of, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("logging: {level: debug}")
    config = load(path, {"SPXARB_DATABASE": str(tmp_path / "l.db")})
    logs.setup(config)
    logging.getLogger("ib_insync.wrapper").error("Error 200")
    logging.getLogger("ib_insync.client").debug("<<< 71,2,1")
    assert logs.flush()
    assert capsys.readouterr().err == ""
    assert "Error 200" in written(config)
    assert "<<<" not in written(config)


def test_what_is_below_the_level_is_not_logged_and_either_place_can_be_off(tmp_path, capsys, log_of):
    path = tmp_path / "c.yaml"
    path.write_text("logging: {level: WARNING, file: false}")
    config = load(path, {"SPXARB_DATABASE": str(tmp_path / "new/l.db")})
    assert logs.setup(config) is None
    logging.getLogger("spxarb").info("unheard")
    logging.getLogger("spxarb").warning("heard")
    assert logs.flush()
    err = capsys.readouterr().err
    assert "heard" in err
    assert "unheard" not in err
    assert not (tmp_path / "new").exists()


def test_a_second_set_up_replaces_the_first_and_lines_come_once(log_of):
    log_of()
    config = log_of()
    logging.getLogger("spxarb").info("once")
    assert written(config).count("once") == 1


def test_a_log_that_cannot_be_opened_is_told_and_stops_nothing(tmp_path, capsys, log_of):
    log_of()
    (tmp_path / "file").write_text("")
    config = load(environ={"SPXARB_DATABASE": str(tmp_path / "file/l.db")})
    problem = logs.setup(config)
    assert problem is not None
    assert problem.startswith("No log file: ")
    assert logs.trouble() == problem
    logging.getLogger("spxarb").info("still here")
    assert logs.flush()
    assert "still here" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_once_and_stops_nothing(tmp_path, capsys, log_of):
    path = tmp_path / "c.yaml"
    path.write_text("logging: {console: false}")
    log_of()
    logs.setup(load(path, {}, {"logging.path": "/dev/full"}))
    for _ in range(3):
        logging.getLogger("spxarb").info("lost")
    logs.shutdown()
    assert "the log /dev/full cannot be written" in logs.trouble()
    assert logs.trouble() == "", "it is told once"
    assert capsys.readouterr().err == ""


def test_a_full_log_is_rotated_and_old_copies_are_private_too(log_of, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    config = log_of()
    for number in range(10):
        logging.getLogger("spxarb").info("line %d", number)
    assert logs.flush()
    copies = sorted(config.log_path().parent.glob("trading.log*"))
    assert len(copies) > 1
    assert {stat.S_IMODE(copy.stat().st_mode) for copy in copies} == {0o600}


def test_a_log_that_cannot_be_made_anew_writes_into_no_other_file(log_of, tmp_path, monkeypatch):
    """The descriptor is given up only for another one: its number may be the ledger's at once."""
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    config = log_of()
    real, other = os.open, tmp_path / "other"

    def full(path, *args, **more):
        if str(path) == str(config.log_path()):
            raise OSError(28, "No space left on device")
        return real(path, *args, **more)

    for number in range(3):
        logging.getLogger("spxarb").info("line %d %s", number, "x" * 50)
    assert logs.flush()
    monkeypatch.setattr(os, "open", full)
    logging.getLogger("spxarb").info("y" * 300)
    assert logs.flush()
    with other.open("w+") as file:
        for number in range(8):
            logging.getLogger("spxarb").info("late %d", number)
        assert logs.flush()
        file.seek(0)
        assert file.read() == ""
    texts = [copy.read_text() for copy in sorted(config.log_path().parent.glob("trading.log*"))]
    assert "line 0" in "".join(texts)
    assert "late 7" in "".join(texts)


def test_a_log_that_cannot_be_rotated_goes_on_as_it_is(log_of, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    logs.trouble()  # of other tests
    config = log_of()
    (config.log_path().with_name("trading.log.1") / "full").mkdir(parents=True)
    (config.log_path().with_name("trading.log.2") / "full").mkdir(parents=True)
    for number in range(10):
        logging.getLogger("spxarb").info("line %d", number)
    logs.shutdown()
    assert "line 9" in config.log_path().read_text()
    assert logs.trouble() == ""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [False, True], ids=["nobody reads it", "somebody could"])
def test_a_pipe_is_no_log_and_delays_nothing(log_of, tmp_path, capsys, read):
    """It is told once, at the end of the command, also where the log is not shown on stderr."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "c.yaml").write_text("logging: {console: false}")
    log_of()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if read else None
    for _ in range(2):
        problem = logs.setup(load(tmp_path / "c.yaml", {}, {"logging.path": str(pipe)}))
        assert problem == f"No log file: {pipe}: it is not a regular file"
    logging.getLogger("spxarb").info("lost")
    logs.shutdown()
    assert (logs.trouble(), capsys.readouterr().err) == (problem, "")
    if reader is not None:
        assert os.read(reader, 10) == b""
        os.close(reader)


@pytest.mark.parametrize("content", [b"SQLite format 3\0rows", b"\x1f\x8b\x08binary", b"\x00\x01"])
def test_what_is_no_log_gets_no_line(log_of, tmp_path, content):
    file = tmp_path / "precious"
    file.write_bytes(content)
    log_of()
    assert "No log file" in logs.setup(load(None, {}, {"logging.path": str(file)}))
    logging.getLogger("spxarb").warning("lost")
    logs.shutdown()
    assert file.read_bytes() == content


def test_another_file_with_the_name_of_an_older_log_is_neither_moved_nor_dropped(log_of, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 300)
    config = log_of()
    other = config.log_path().with_name("trading.log.5")
    other.write_bytes(b"SQLite format 3\0rows")
    for number in range(30):
        logging.getLogger("spxarb").info("line %d", number)
    logs.shutdown()
    assert other.read_bytes() == b"SQLite format 3\0rows"
    assert "line 29" in config.log_path().read_text()


BLOCKED = """
import logging
from spxarb import logs
from spxarb.cli.view import complain
from spxarb.config.load import Config
config = Config()
logs.setup(config.model_copy(update={"logging": config.logging.model_copy(update={"file": False})}))
for _ in range(5000):
    logging.getLogger("spxarb").info("x" * 200)
print("all are said", flush=True)
logs.shutdown()
complain("the end")
"""


def test_a_held_terminal_delays_no_line_and_no_end():
    """Ctrl-S, or a journal that hangs: stderr takes 64 kB and then nothing more, as long as the process lives."""
    reader, writer = os.pipe()
    try:
        job = subprocess.run(
            [sys.executable, "-c", BLOCKED],
            stdout=subprocess.PIPE,
            stderr=writer,
            text=True,
            check=False,
            timeout=12,
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert (job.returncode, job.stdout) == (0, "all are said\n")


def test_lines_that_no_longer_fit_are_counted(log_of, monkeypatch):
    """While the file hangs; once it can be written again, the log says how many there were."""
    monkeypatch.setattr(logs, "QUEUED_LINES", 5)
    config, gate = log_of(), threading.Event()
    (place,) = [handler.place for handler in logs._ours if handler.place.name != "stderr"]
    real, place.write = place.write, lambda text: (gate.wait(10), real(text))
    for number in range(20):
        logging.getLogger("spxarb").info("line %d", number)
    gate.set()
    assert re.search(r"\d+ lines are left out", written(config))
    assert "line 0\n" in written(config)
