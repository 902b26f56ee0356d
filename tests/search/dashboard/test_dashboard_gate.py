"""search/dashboard/gate.py: who may ask the dashboard for what. Pure WSGI, no storage."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.dashboard import gate, serve
from search.errors import UsageError
from tests.dashboards import PASSWORD, Answer, login, request

OWN = {"HTTP_ORIGIN": "http://localhost:8080"}
CHANGES = ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get")


def behind(headers: list[tuple[str, str]] | None = None, **rules: Any) -> gate.Gate:
    """A gate before an application that says yes to everything."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", headers or [("Content-Type", "text/plain")])
        return [b"inside"]

    return gate.Gate(app, gate.Rules(**rules))


def wrong(app: gate.Gate, times: int, **environ: str) -> list[Answer]:
    return [
        request(app, "/", HTTP_AUTHORIZATION=login(f"guess {i}"), **environ) for i in range(times)
    ]


# Password


def test_without_the_password_nothing_is_told() -> None:
    """Neither pages nor files nor data; the browser is told to ask for it."""
    app = behind(password=PASSWORD)
    for path in ("/", "/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/ab"):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE"):
            answer = request(app, path, method)
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert b"inside" not in answer.body


def test_the_password_opens_under_any_user_name() -> None:
    """In UTF-8, colons included, however the scheme is written."""
    app = behind(password=PASSWORD)
    for given_login in (login(), login(user=""), login(user="näme"), login().replace("B", "b", 1)):
        assert request(app, "/", HTTP_AUTHORIZATION=given_login).body == b"inside"


@pytest.mark.soak
@given(st.text().filter(lambda text: text != PASSWORD))
def test_no_other_password_opens(text: str) -> None:
    """Prefixes, extensions, other cases, the empty one."""
    app = behind(password=PASSWORD)
    header = "Basic " + base64.b64encode(b"u:" + text.encode(errors="surrogatepass")).decode()
    assert request(app, "/", HTTP_AUTHORIZATION=header).status == 401


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic !!!", "Basic dXB3", f"Bearer {PASSWORD}", "Basic \xff"],
)
def test_a_malformed_login_is_none(header: str) -> None:
    """Asked again, and not counted as an attempt."""
    app = behind(password=PASSWORD)
    answers = [request(app, "/", HTTP_AUTHORIZATION=header).status for _ in range(2 * gate.BURST)]
    assert set(answers) == {401}
    assert request(app, "/", HTTP_AUTHORIZATION=login()).status == 200


def test_wrong_passwords_are_slowed_down() -> None:
    """After ten of them even the right one has to wait, and the answer says how long."""
    app = behind(password=PASSWORD)
    answers = wrong(app, gate.BURST + 3)
    assert [a.status for a in answers] == [401] * gate.BURST + [429] * 3
    assert 0 < int(answers[-1].headers["retry-after"]) <= gate.REFILL_S
    assert request(app, "/", HTTP_AUTHORIZATION=login()).status == 429


def test_who_waits_may_try_again() -> None:
    """One attempt every REFILL_S; what was asked meanwhile does not prolong the waiting."""
    now = 0.0
    attempts = gate.Attempts(lambda: now)
    for _ in range(gate.BURST):
        assert attempts.judge("a", lambda: False) == (False, 0)
    for _ in range(100):
        right, wait_s = attempts.judge("a", lambda: True)
        assert (right, wait_s) == (False, gate.REFILL_S)
    now += wait_s
    assert attempts.judge("a", lambda: True) == (True, 0)


def test_nobody_is_locked_out_by_others() -> None:
    """Attempts are counted by address, and for a browser that once knew the password by itself."""
    app = behind(password=PASSWORD)
    known = request(app, "/", HTTP_AUTHORIZATION=login()).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict"} <= set(known.split("; "))
    wrong(app, 100)
    elsewhere = {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": login()}
    assert request(app, "/", **elsewhere).status == 200
    cookie = known.partition(";")[0]
    assert request(app, "/", HTTP_AUTHORIZATION=login(), HTTP_COOKIE=cookie).status == 200
    assert request(app, "/", HTTP_COOKIE=cookie).status == 401  # it opens nothing
    assert wrong(app, 20, HTTP_COOKIE=cookie)[-1].status == 429
    forged = f"optsearch-seen={'0' * 16}.{'0' * 64}"
    assert request(app, "/", HTTP_AUTHORIZATION=login(), HTTP_COOKIE=forged).status == 429


def test_many_attempts_at_once_are_no_more_than_one_after_the_other() -> None:
    """Threads do not slip past the count."""
    app, found = behind(password=PASSWORD), []
    threads = [threading.Thread(target=lambda: found.extend(wrong(app, 10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(a.status == 401 for a in found) <= gate.BURST + 1


def test_an_ipv6_network_is_one_client() -> None:
    """Whoever has one address has all of its /64."""
    app = behind(password=PASSWORD)
    for i in range(gate.BURST):
        wrong(app, 1, REMOTE_ADDR=f"2001:db8::{i}")
    assert wrong(app, 1, REMOTE_ADDR="2001:db8::ffff")[0].status == 429
    assert wrong(app, 1, REMOTE_ADDR="2001:db8:0:1::1")[0].status == 401


@pytest.mark.parametrize("is_proxied", [True, False])
def test_a_proxy_of_this_machine_tells_whose_attempt_it_is(is_proxied: bool) -> None:
    """The last address of X-Forwarded-For, which the proxy wrote; otherwise it is not read."""
    app = behind(password=PASSWORD, is_proxied=is_proxied)
    for i in range(gate.BURST):
        wrong(app, 1, HTTP_X_FORWARDED_FOR=f"203.0.113.{i}, 192.0.2.7")
    expected = 401 if is_proxied else 429
    assert wrong(app, 1, HTTP_X_FORWARDED_FOR="192.0.2.8")[0].status == expected
    assert wrong(app, 1, HTTP_X_FORWARDED_FOR="192.0.2.8, 192.0.2.7")[0].status == 429


# Method, host, origin


@pytest.mark.parametrize("method", CHANGES)
def test_read_only_refuses_whatever_could_change(method: str) -> None:
    """With a sentence that says what to do."""
    answer = request(behind(), "/api/studies/1", method, **OWN)
    assert answer.status == 403
    assert "--allow-edit" in answer.json["reason"]
    assert request(behind(is_editable=True), "/api/studies/1", method, **OWN).body == b"inside"


def test_reading_is_allowed() -> None:
    """OPTIONS is answered here: no other page may ask for anything (no CORS)."""
    assert request(behind(), "/", "GET").body == b"inside"
    assert request(behind(), "/", "HEAD").status == 200
    options = request(behind(), "/", "OPTIONS", HTTP_ORIGIN="https://evil.example")
    assert options.status == 204
    assert not any(k.startswith("access-control") for k in options.headers)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "10.1.2.3", "dash.example."],
)
def test_known_hosts_and_addresses_are_served(host: str) -> None:
    """An address cannot be rebound; a name has to be ours."""
    app = behind(hosts=frozenset({"dash.example"}))
    assert request(app, "/", HTTP_HOST=host).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8080", 403),
        ("", 400),
        ("localhost/", 400),
        ("a@localhost", 400),
        ("localhost:80:80", 400),
        ("[evil.example]", 400),
        ("local host", 400),
        ("localhost\x00", 400),
    ],
)
def test_other_hosts_are_refused(host: str, status: int) -> None:
    """A page of evil.example that rebinds its name to 127.0.0.1 must not read our studies."""
    assert request(behind(), "/api/studies", HTTP_HOST=host).status == status


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "http://localhost:8081"},
        {"HTTP_ORIGIN": "http://localhost:8080.evil.example"},
        {"HTTP_ORIGIN": "http://[", "HTTP_REFERER": "http://localhost:8080/"},
        {"HTTP_ORIGIN": "http://evil.example", "HTTP_REFERER": "http://localhost:8080/"},
        {"HTTP_REFERER": "http://evil.example/?http://localhost:8080/"},
    ],
)
def test_a_change_that_another_page_asks_for_is_refused(environ: dict[str, str]) -> None:
    """Browsers send the password along with it."""
    app = behind(is_editable=True, password=PASSWORD)
    answer = request(app, "/api/studies/1", "DELETE", HTTP_AUTHORIZATION=login(), **environ)
    assert answer.status == 403
    assert "Origin" in answer.json["reason"]


def test_a_change_that_our_page_asks_for_is_let_through() -> None:
    """By Origin, or by Referer where an old browser sends no more; https ends at a proxy."""
    app = behind(is_editable=True, hosts=frozenset({"dash.example"}))
    for environ in (OWN, {"HTTP_REFERER": "http://localhost:8080/dashboard/studies/1"}):
        assert request(app, "/api/studies/1", "DELETE", **environ).body == b"inside"
    proxied = {"HTTP_ORIGIN": "https://dash.example", "HTTP_HOST": "dash.example"}
    assert request(app, "/api/studies/1", "DELETE", **proxied).body == b"inside"


# Headers


@pytest.mark.parametrize("path", ["/", "/api/studies", "/static/x.js", "/nosuch", "/artifacts/1/a"])
def test_every_answer_has_the_headers_that_protect(path: str) -> None:
    """Whoever answers: the application, or the gate itself."""
    for app in (
        behind(),
        behind(password=PASSWORD),
        behind([("Access-Control-Allow-Origin", "*")]),
    ):
        headers = request(app, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["cache-control"] == (
            "no-cache" if path.startswith("/static") else "no-store"
        )
        assert "access-control-allow-origin" not in headers


def test_an_svg_that_is_opened_by_itself_runs_no_scripts() -> None:
    """Whatever policy the application has."""
    app = behind([("Content-Type", "image/svg+xml"), ("Content-Security-Policy", "script-src *")])
    policy = request(app, "/artifacts/1/1/ab").headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy


# Where the password comes from, and where one is needed


def test_the_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's last line break is none of it; the file goes first."""
    monkeypatch.delenv(serve.PASSWORD, raising=False)
    assert serve.read_password(None) is None
    monkeypatch.setenv(serve.PASSWORD, " with blanks ")
    assert serve.read_password(None) == " with blanks "
    (tmp_path / "p").write_text(PASSWORD + "\r\n", encoding="utf-8")
    assert serve.read_password(tmp_path / "p") == PASSWORD


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n", b"two\nlines\n", b"\xff\xfe"])
def test_a_password_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """An empty one would open to everybody who knows that."""
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(UsageError, match=rf"--password-file {tmp_path}/p: "):
        serve.read_password(tmp_path / "p")
    with pytest.raises(UsageError, match="No such file"):
        serve.read_password(tmp_path / "none")
    monkeypatch.setenv(serve.PASSWORD, "")
    with pytest.raises(UsageError, match=rf"^{serve.PASSWORD}: must be one line"):
        serve.read_password(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_need_a_password(host: str) -> None:
    """Before anything is opened."""
    with pytest.raises(UsageError, match=rf"--host {host}: .*{serve.PASSWORD}.*--password-file"):
        serve.create_server("sqlite:///none.db", 0, host)
