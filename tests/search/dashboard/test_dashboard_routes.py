"""Every route of optuna-dashboard's application, and thousands of requests that fit none."""

import http.client
import json
import random
import re
import socket
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from search.dashboard import fast, routes, views
from search.database import storage
from tests import dashboards
from tests.dashboards import PASSWORD, change, login, request

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
_VALUES = {"study_id": "1", "trial_id": "1", "artifact_id": "c0de-1", "filename": "bundle.js"}
_VALUES |= {"plot_type": "slice", "history_id": "ab", "": ""}
# What a route answers to a logged-in reader, where that is not 200.
READ = {
    "/": 302,
    "/incompatible-rdb-schema": 302,
    "/artifacts/1/c0de-1": 404,  # curves belong to trials
}
# What a change without a body answers under --allow-edit, where that is not 400.
EDIT = {
    ("DELETE", "/api/studies/1"): 200,
    ("DELETE", "/api/studies/1/preference/ab"): 404,
    ("DELETE", "/api/artifacts/1/1/c0de-1"): 403,
    ("DELETE", "/api/artifacts/1/c0de-1"): 403,
    ("POST", "/api/studies/1/1/skip"): 400,
    ("POST", "/api/studies/1/preference/ab"): 404,
    ("POST", "/api/studies/1/rename"): 409,
    ("POST", "/incompatible-rdb-schema"): 302,
}


def _bottle(url: str) -> Any:
    return views.application(storage.open_storage(url), url)


def _routes() -> list[tuple[str, str]]:
    """(method, path with values in place of its parts) of each route, from the application."""
    from optuna_dashboard import wsgi

    app: Any = wsgi(optuna.storages.InMemoryStorage())
    found = {(r.method, re.sub(r"<(\w*)(:[^>]*)?>", _value, r.rule)) for r in app.routes}
    return sorted(found)


def _value(part: re.Match[str]) -> str:
    return _VALUES[part[1]]


ROUTES = _routes()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/a.db"
    dashboards.make_study(url)
    return url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a study that nobody changes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('routes')}/a.db"
    dashboards.make_study(url)
    return url


@pytest.fixture(scope="module")
def read_only(shared: str) -> Any:
    return dashboards.application(shared, password=PASSWORD)


# The table


def test_the_application_has_the_routes_that_were_looked_at() -> None:
    """A new one of optuna-dashboard is to be looked at: does a GET of it change anything?"""
    reading = {path for method, path in ROUTES if method == "GET"}
    assert reading == {
        "/", "/api/meta", "/api/studies", "/api/studies/1", "/api/studies/1/param_importances",
        "/api/studies/1/plot/slice", "/artifacts/1/1/c0de-1", "/artifacts/1/c0de-1", "/csv/1",
        "/dashboard", "/favicon.ico", "/incompatible-rdb-schema", "/static/bundle.js",
    }  # fmt: skip
    assert {m for m, _ in ROUTES} == {"GET", "POST", "PUT", "DELETE"}
    assert len(ROUTES) >= 30


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_a_route_without_login_tells_nothing(path: str, read_only: Any) -> None:
    """By any method."""
    for method in METHODS:
        assert change(read_only, path, method).status == 401


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_a_route_that_is_read_only_changes_nothing(path: str, read_only: Any, shared: str) -> None:
    """By any method: GET and HEAD read where there is something to read, the rest is refused."""
    before = dashboards.dump(shared)
    for method in METHODS:
        answer = change(read_only, path, method, {}, HTTP_AUTHORIZATION=login())
        if method == "OPTIONS":
            expected = 204
        elif method not in ("GET", "HEAD"):
            expected = 403
        else:
            expected = READ.get(path, 200) if ("GET", path) in ROUTES else 405
        assert (method, answer.status) == (method, expected)
    assert dashboards.dump(shared) == before


@pytest.mark.soak
@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r[0] != "GET"])
def test_a_route_that_changes_does_so_where_editing_is_allowed(
    method: str, path: str, url: str
) -> None:
    """For our own page only; a request that lacks something is told so, and changes nothing."""
    app = dashboards.application(url, is_editable=True)
    before = dashboards.dump(url)
    evil = change(app, path, method, {}, HTTP_ORIGIN="https://evil.example")
    assert (evil.status, dashboards.dump(url)) == (403, before)
    answer = change(app, path, method, {})
    assert answer.status == EDIT.get((method, path), 400)
    assert (dashboards.dump(url) == before) == (answer.status != 200)


@pytest.mark.soak
@pytest.mark.parametrize("number", ["0", "77", str(2**31), "9" * 20, "9" * 5000])
def test_a_number_that_nothing_has_is_not_found(number: str, shared: str) -> None:
    """By any route: of no study or trial, or of none that any database could hold."""
    app, before = dashboards.application(shared, is_editable=True), dashboards.dump(shared)
    for method, path in ROUTES:
        if "/1" in path and "/api/artifacts/" not in path:
            content = {"version": 1, "body": "b", "user_attrs": {"a": 1}, "study_name": "n"}
            content |= {"state": "fail", "mode": "ChooseWorst", "clicked": 0, "candidates": [0]}
            content |= {"output_type": "note"}
            answer = change(app, path.replace("/1", f"/{number}"), method, content)
            assert (path, answer.status) == (path, 404 if len(number) < 5000 else 400)
    assert dashboards.dump(shared) == before


# Malformed requests

BODIES = [None, [], "text", 7, {"study_name": []}, {"study_name": None, "directions": ["up"]},
          {"study_name": "a", "directions": 5}, {"version": "x", "body": {}}, {"state": {}},
          {"version": 1, "body": 7}, {"user_attrs": ["a"]}, {"user_attrs": {"a": {}}},
          {"candidates": {}, "clicked": "x"}, {"state": "complete", "values": ["x"]},
          {"state": "complete", "values": [1, 2, 3]}, {"file": "no data", "filename": 3},
          {"study_name": "\x00"}, {"output_type": [], "artifact_key": {}},
          {"mode": "ChooseWorst", "clicked": 99, "candidates": [99, 98]}]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r[0] not in ("GET", "DELETE")])
def test_a_body_that_a_route_does_not_take_is_no_failure_of_ours(
    method: str, path: str, url: str
) -> None:
    """Under --allow-edit: 4xx with a reason, and the next request is answered."""
    app = dashboards.application(url, is_editable=True)
    for content in BODIES:
        answer = change(app, path, method, content)
        assert answer.status < 500, (content, answer.body)
    for raw in (b"{", b"\xff", b"[" * 100_000):
        own = {"HTTP_ORIGIN": "http://localhost:8080", "CONTENT_TYPE": "application/json"}
        assert request(app, path, method, raw, **own).status < 500
    assert request(app, "/api/studies").status == 200


_WORDS = ["api", "studies", "1", "2", "-1", "0", "99999999999999999999", "1e3", "..", ".", "",
          "artifacts", "c0de-1", "c0de-ffffffffffffffffffff", "csv", "static", "bundle.js",
          "bundle.js.gz", "dashboard", "plot", "slice", "rank", "nosuch", "param_importances",
          "meta", "%2e%2e", "\x00", "\xff\xfe", "a" * 5000, "9" * 5000, "<script>", "'; DROP",
          "favicon.ico", "note", "llm", "tell", "etc/passwd", "..\\..", "\r\nX: y"]  # fmt: skip
_TEXT = st.one_of(
    st.sampled_from(_WORDS),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=20),
)
_PATHS = st.lists(_TEXT, max_size=6).map(lambda parts: "/" + "/".join(parts))
_QUERY = st.lists(
    st.tuples(st.sampled_from(["after", "trial_ids", "x", ""]), _TEXT), max_size=3
).map(lambda pairs: "&".join(f"{k}={v}" for k, v in pairs))
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["HTTP_COOKIE", "HTTP_RANGE", "HTTP_ACCEPT_ENCODING", "HTTP_IF_MODIFIED_SINCE",
         "HTTP_IF_NONE_MATCH", "HTTP_X_FORWARDED_FOR", "HTTP_ORIGIN", "HTTP_REFERER", "HTTP_HOST",
         "HTTP_AUTHORIZATION", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"]
    ),
    _TEXT | st.sampled_from(["bytes=9-2", "bytes=-0", "bytes=0-0", "gzip;q=x", "localhost"]),
    max_size=4,
)  # fmt: skip


@given(
    st.sampled_from(["GET"] * 9 + [*METHODS, "", "FOO"]),
    _PATHS,
    _QUERY,
    _HEADERS,
    st.binary(max_size=50),
)
def _malformed(
    app: Any, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    whole = {"HTTP_AUTHORIZATION": login(), **headers}
    answer = request(app, f"{path}?{query}" if "?" not in path else path, method, body, **whole)
    assert answer.status < 500, answer.body


@pytest.mark.parametrize("number", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_thousands_of_malformed_requests_do_no_harm(shared: str, number: int) -> None:
    """No failure of the server, nothing changed in the storage, and it still answers."""
    app = dashboards.application(shared)
    before = dashboards.dump(shared)
    drawn = settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    drawn(_malformed)(app)
    assert dashboards.dump(shared) == before
    assert request(app, "/api/studies").status == 200


@pytest.fixture(scope="module")
def server(shared: str) -> Iterator[str]:
    with dashboards.served(shared) as address:
        yield address


def _raw(rng: random.Random) -> bytes:
    """A request that looks like one of HTTP, more or less."""
    method = rng.choice([*METHODS, "GET " * 9, "\x00", ""])
    path = rng.choice(["/", "/api/studies", "/api/studies/1?after=x", "*", "//", "/%", "/%00"])
    path += "".join(rng.choices(string.printable, k=rng.choice([0, 0, 5, 3000])))
    lines = [f"{method} {path} HTTP/{rng.choice(['1.1', '1.0', '9.9', 'x'])}"]
    lines += rng.choice([["Host: localhost"], ["Host: localhost", "Host: b"], []])
    lines += rng.sample(
        ["Content-Length: -1", "Content-Length: 5", "Content-Length: 99999999999", ": x", "Cookie",
         "Transfer-Encoding: chunked", "Expect: 100-continue", "X: " + "y" * 5000, "\x00: \x00",
         "Connection: close", "Range: bytes=5-1", "Accept-Encoding: gzip"],
        k=rng.randint(0, 4),
    )  # fmt: skip
    end = rng.choice(["\r\n\r\n", "\r\n\r\n", "\r\n\r\nzzzz", "\n\n", "\r\n"])
    return ("\r\n".join(lines) + end).encode("latin1")


def test_hundreds_of_malformed_requests_over_a_socket_do_no_harm(server: str, shared: str) -> None:
    """Cut off, too long, contradictory: refused or ignored, and the next one is answered."""
    host, port = server.removeprefix("http://").split(":")
    rng, before, statuses = random.Random(0), dashboards.dump(shared), set()
    for _ in range(400):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(_raw(rng))
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
            if found := re.match(rb"HTTP/1\.[01] (\d+)", answer):
                statuses.add(int(found[1]))
    assert statuses >= {200, 400, 403}
    assert max(statuses) < 500
    assert dashboards.dump(shared) == before
    assert len(dashboards.get(f"{server}/api/studies")["study_summaries"]) == 1


def test_a_body_that_is_too_long_is_refused(server: str) -> None:
    """Before it is kept anywhere: nobody fills the disk."""
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/api/studies")
    connection.putheader("Content-Length", str(2**31))
    connection.endheaders()
    assert connection.getresponse().status == 413


# What is wrong with us is told in the log


def test_a_failure_of_ours_is_told_in_the_log_without_secrets(
    shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says that something failed; the traceback is for whoever runs the server."""
    app = _bottle(shared)

    def broken() -> None:
        raise ZeroDivisionError("with s3cr3t in it")

    (route,) = (r for r in app.routes if r.rule == "/api/meta")
    route.callback = routes._told(broken, True, ["s3cr3t"])
    route.reset()
    answer = request(fast.compressed(app), "/api/meta")
    assert answer.status == 500
    assert json.loads(answer.body) == {"reason": "the dashboard failed here; its log says how"}
    assert "ZeroDivisionError" in caplog.text
    assert "s3cr3t" not in caplog.text
