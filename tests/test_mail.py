"""Alerts by e-mail, against a real SMTP server: plain, with STARTTLS, with TLS, with a log-in; and bad ones."""

from __future__ import annotations

import shutil
import socket

import pytest
from mail_server import Mailbox, dripping_server, mail_server, self_made_certificate

from spxarb.config.load import Config, load
from spxarb.errors import ConfigError
from spxarb.notify import send, way

ON = {"EMAIL_ENABLED": "true", "EMAIL_ADDRESS": "me@example.com"}
pytestmark = [
    pytest.mark.outside,  # the server is a library's, whose sockets nobody sees
    pytest.mark.filterwarnings("ignore:Requiring AUTH"),  # it warns of what is tried here
]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")


def mailing(port: int, **more: object) -> Config:
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, **more}
    return load(None, ON, {f"notifications.{name}": value for name, value in given.items()})


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("open sesame\n")
    path.chmod(0o600)
    return path


def test_a_mail_arrives_whole_at_every_address():
    with mail_server() as box:
        config = mailing(
            box.port, email_address="me@example.com, you@example.com", smtp_from="desk@example.com"
        )
        assert (
            send(config, "spxarb enter: a spread was entered", "Credit \N{MINUS SIGN}$41.80.\nSecond line.")
            is None
        )
    for mail in box.mails:
        assert (mail["Subject"], mail["From"]) == ("spxarb enter: a spread was entered", "desk@example.com")
        assert mail["Date"]
        assert mail["Message-ID"]
    assert box.bodies == ["Credit \N{MINUS SIGN}$41.80.\nSecond line.\n"] * 2
    assert sorted(box.recipients) == ["me@example.com", "you@example.com"]


@needs_openssl
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_encrypted_mail_with_a_log_in_arrives_where_the_certificate_is_known(
    tmp_path, monkeypatch, password_file, security
):
    certificate = self_made_certificate(tmp_path)
    with mail_server(security=security, certificate=certificate, log_in=True) as box:
        config = mailing(
            box.port, smtp_security=security, smtp_user="me", smtp_password_file=str(password_file)
        )
        unknown = send(config, "t", "x")
        assert unknown is not None
        assert "certificate verify failed" in unknown
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert send(config, "t", "x") is None
    assert (box.bodies, box.users) == (["x\n"], ["me"])


def test_a_wrong_password_is_told_and_never_shown(password_file):
    password_file.write_text("a wrong secret")
    with mail_server(log_in=True) as box:
        problem = send(mailing(box.port, smtp_user="me", smtp_password_file=str(password_file)), "t", "x")
    assert problem is not None
    assert "535" in problem
    assert "wrong secret" not in problem
    assert box.mails == []


def test_a_password_comes_from_systemds_credentials(tmp_path, monkeypatch):
    (tmp_path / "smtp-password").write_text("open sesame")
    (tmp_path / "smtp-password").chmod(0o400)
    with mail_server(log_in=True) as box:
        given = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_user": "me"}
        overrides = {f"notifications.{name}": value for name, value in given.items()}
        config = load(None, ON | {"CREDENTIALS_DIRECTORY": str(tmp_path)}, overrides)
        assert send(config, "t", "x") is None
        overrides["notifications.smtp_password_file"] = str(tmp_path / "of root alone")
        config = load(None, ON | {"CREDENTIALS_DIRECTORY": str(tmp_path)}, overrides)
        assert send(config, "t", "x") is None, "systemd read the file"
    assert box.users == ["me", "me"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.chmod(0o644), "can be read by others (mode 0644): chmod 600 it"),
        (lambda path: path.chmod(0o640), "can be read by others (mode 0640): chmod 600 it"),
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: path.write_text("\n"), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read: it is not UTF-8 text"),
    ],
)
def test_a_password_file_that_is_not_safe_or_not_there_is_told_and_not_used(password_file, make, told):
    make(password_file)
    with mail_server() as box:
        problem = send(mailing(box.port, smtp_user="me", smtp_password_file=str(password_file)), "t", "x")
    assert problem is not None
    assert told in problem
    assert box.mails == []


def test_a_password_is_not_sent_in_the_clear_to_another_machine(password_file):
    with pytest.raises(
        ConfigError, match=r"smtp_security must be starttls or tls where a password goes to mail\.x"
    ):
        mailing(25, smtp_host="mail.x", smtp_user="me", smtp_password_file=str(password_file))


@pytest.mark.timeout(30)  # far more than its deadline: what it meets goes on for ever
def test_every_way_is_used_and_one_that_hangs_or_refuses_keeps_no_other(tmp_path):
    urls = tmp_path / "urls"
    with socket.create_server(("127.0.0.1", 0)) as hanging, mail_server(Mailbox(refusing=True)) as refusing:
        dead = f"mailto://127.0.0.1:{refusing.port}/?mode=insecure&from=a@b.org&to=c@d.org"
        urls.write_text(f"# our desk\n\njson://127.0.0.1:{hanging.getsockname()[1]}/very-secret\n{dead}\n")
        urls.chmod(0o600)
        with mail_server() as box:
            config = mailing(box.port, urls_file=str(urls))
            problem = send(config, "t", "x", deadline=3)
    assert box.bodies == ["x\n"]
    assert problem is not None
    assert "json: no answer within 3 s" in problem
    assert "mailto: " in problem
    assert "secret" not in problem + way(config)


@pytest.mark.timeout(30)  # far more than its deadline: what it meets goes on for ever
def test_a_mail_server_that_drips_costs_no_more_than_the_deadline():
    with dripping_server() as port:
        problem = send(mailing(port), "t", "x", deadline=1.5)
    assert problem == "the alert was not sent: no answer within 1.5 s"
