"""search/news/notify.py: commands and URLs are told what happens, and cost a run nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from search.errors import RunFailedError
from search.news import events, notify
from search.record.listener import Event, Listener
from search.studyfile.parts import Notice
from tests.search import made

Cli = Callable[..., Any]
ANSWER = Event("answer", "mine", "study 'mine' has an answer: ü", {"file": "/a/best.yaml"})
RUN = ("run", "--study", "./mine.yaml", "--workers", 1, "--no-confirm")


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: str


class Server(ThreadingHTTPServer):
    """Takes what is sent; answers with each of `answers`, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[Got] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append(Got(self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSES_S", (0.0, 0.0))


class Heard(Listener):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, study: str, message: str) -> None:
        self.warned.append(message)


def tell(*rows: dict[str, Any], event: Event = ANSWER) -> list[str]:
    """Tell all rows of an event; what was warned of."""
    heard = Heard()
    with notify.telling("mine", [Notice(**row) for row in rows], heard) as listener:
        listener.happened(event)
    return heard.warned


def test_a_command_gets_the_event_as_json_and_in_variables(folder: Path) -> None:
    """By a shell, in the folder of the run."""
    command = 'cat > event.json; echo "$OPTSEARCH_EVENT|$OPTSEARCH_STUDY|$OPTSEARCH_TEXT" > text'
    assert tell({"command": command}) == []
    assert Path("text").read_text() == f"answer|mine|{ANSWER.text}\n"
    told = json.loads(Path("event.json").read_text())
    assert told == {"event": "answer", "study": "mine", "text": ANSWER.text, "file": "/a/best.yaml"}


def test_only_what_was_asked_for_is_told(folder: Path) -> None:
    """All events where a row names none."""
    rows = [{"command": f"touch {name}"} for name in ("all", "failures")]
    assert tell(rows[0], rows[1] | {"on": ["failure"]}) == []
    assert (Path("all").exists(), Path("failures").exists()) == (True, False)


@pytest.mark.parametrize(
    ("shape", "body", "header"),
    [
        (None, {"event": "answer", "study": "mine"}, ("Content-Type", "application/json")),
        ("slack", {"text": ANSWER.text}, ("Content-Type", "application/json")),
        ("ntfy", ANSWER.text, ("Title", "mine: answer")),
    ],
)
def test_a_url_gets_it_in_its_shape(
    server: Server, shape: str | None, body: Any, header: tuple[str, str]
) -> None:
    """Slack takes an object with a text, ntfy the text itself with its title beside it."""
    assert tell({"url": f"{server.url}/topic?a=b", "shape": shape}) == []
    (got,) = server.got
    assert got.path == "/topic?a=b"
    assert got.headers[header[0]] == header[1]
    if shape is None:
        assert json.loads(got.body).items() >= body.items()
    else:
        assert (json.loads(got.body) if shape == "slack" else got.body) == body


def test_a_title_beyond_ascii_is_one_that_a_header_can_hold(server: Server) -> None:
    event = ANSWER._replace(study="Prüfung", kind="failure")
    assert tell({"url": server.url, "shape": "ntfy"}, event=event) == []
    assert server.got[0].headers["Title"].startswith("=?utf-8?")
    assert server.got[0].headers["Priority"] == "high"


def test_the_host_tells_the_shape() -> None:
    """Whoever pastes a webhook's address need not know of shapes."""
    assert notify.HOSTS["hooks.slack.com"] == "slack"
    assert set(notify.HOSTS.values()) < notify.SHAPES.keys()


def test_a_secret_stays_in_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the address, or as name and password of it; a line that fails tells the host alone."""
    monkeypatch.setenv("HOOK", server.url.replace("//", "//me:s3cr3t@") + "/T0K3N")
    server.answers = [403]
    (told,) = tell({"url": "${HOOK}"})
    assert told == "notify[0]: answer could not be told: 127.0.0.1 answered 403 Forbidden"
    assert server.got[0].path == "/T0K3N"
    assert server.got[0].headers["Authorization"] == "Basic bWU6czNjcjN0"


def test_a_server_that_is_away_for_a_moment_is_asked_again(server: Server) -> None:
    """Twice; a redirect is no answer, as what was sent would be lost on the way."""
    server.answers = [503, 429]
    assert tell({"url": server.url}) == []
    assert len(server.got) == 3
    server.answers = [302]
    (told,) = tell({"url": server.url})
    assert "answered 302" in told
    assert len(server.got) == 4


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"command": "echo no; echo never >&2; exit 3"}, "it ended with 3: never"),
        ({"command": "no-such-program"}, "not found"),
        ({"url": "http://127.0.0.1:1/s3cr3t"}, "127.0.0.1 cannot be reached: "),
        ({"url": "http://127.0.0.1:port/s3cr3t"}, "127.0.0.1"),
        ({"url": "http://127.0.0.1:1/a b s3cr3t"}, "its URL is none"),
    ],
)
def test_what_fails_is_a_line(row: dict[str, str], told: str) -> None:
    (line,) = tell(row)
    assert told in line
    assert "s3cr3t" not in line


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """With all that it has started."""
    monkeypatch.setattr(notify, "COMMAND_S", 0.5)
    (line,) = tell({"command": "(sleep 600; touch late) & sleep 600"})
    assert "took longer than 0 s" in line


def test_an_error_is_told_and_goes_on(folder: Path) -> None:
    """It is raised all the same, its last line in the text."""
    row = Notice(command="cat > event.json")
    with (
        pytest.raises(RunFailedError),
        notify.telling("mine", [row], Heard()),
    ):
        raise RunFailedError("stopped: each failed; the first:\nValueError: no")
    told = json.loads(Path("event.json").read_text())
    assert told["text"] == "the run of study 'mine' has failed: ValueError: no"
    assert told["error"].startswith("stopped")


def test_an_answer_is_told_once_while_nothing_is_new(database: str) -> None:
    """To each row that has taken it: a run that finds nothing to train ends with the same one. The
    study keeps no word of who it was."""
    study, spec = made.opened(question="Which optimizer?", by="optimizer", budget={"trials": 20})

    def told() -> list[str]:
        event = events.of_answer(study, spec, None)
        tell(*({"command": command} for command in rows), event=event)
        return Path("told").read_text().split() if Path("told").exists() else []

    params = {"optimizer": "sgd", "lr": 0.1, "batch_size": 16}
    rows = ["echo one >> told", "test -e ready && echo two >> told"]
    made.search(study, spec, [(params, 0.5)])
    assert told() == ["one"]
    Path("ready").touch()
    assert told() == ["one", "two"]
    assert told() == ["one", "two"]
    rows.append("echo three >> told")
    assert told() == ["one", "two", "three"]
    made.search(study, spec, [(params, 0.25)])  # as good as before, but more is known
    assert sorted(told()[3:]) == ["one", "three", "two"]
    assert "echo" not in str(study.user_attrs)


# A run


@pytest.mark.soak
def test_a_run_tells_its_answer_and_its_stall(
    cli: Cli, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the facts of `--log json`; the database holds nothing of who was told."""
    monkeypatch.setenv("HOOK", f"{server.url}/s3cr3t")
    rules = ("--set", "budget={trials: 50, stalled: {trials: 2, by: 1000}}")
    answer = cli(*RUN, *rules, "--set", "notify=[{url: $HOOK}]")
    assert (answer.code, answer.err) == (0, "")
    assert "stalled: 2 trials without a gain of more than 1e+03" in answer.out
    assert "no further trial begins" in answer.out
    assert "--set budget.stalled=null" in answer.out.splitlines()[-1]
    stalled, done = sorted(
        (json.loads(got.body) for got in server.got), key=lambda e: -len(e["event"])
    )
    assert (stalled["event"], done["event"]) == ("stalled", "answer")
    assert done["trials"]["complete"] + done["trials"]["pruned"] == 3
    assert done["file"] == str(Path("best.yaml").absolute())
    assert done["best"]["value"] == pytest.approx(done["best"]["value"])
    for file in Path("runs").glob("*.db*"):
        assert b"HOOK" not in file.read_bytes()
        assert b"s3cr3t" not in file.read_bytes()
    assert "HOOK" not in Path("best.yaml").read_text()


@pytest.mark.soak
def test_a_run_that_fails_tells_it(cli: Cli, folder: Path) -> None:
    """In the words of its error."""
    (folder / "mine.py").write_text("def objective(trial): raise ValueError('no')\n")
    notify_ = "notify=[{on: [failure], command: 'cat > event.json'}]"
    answer = cli(*RUN, "--set", notify_)
    assert answer.code == 1
    told = json.loads(Path("event.json").read_text())
    assert told["text"].endswith("has failed: ValueError: no")


def test_a_variable_that_is_not_set_is_told_before_anything_runs(cli: Cli, folder: Path) -> None:
    """With its line; so is a URL that is none, without the secret in it."""
    text = (folder / "mine.yaml").read_text()
    for url, told in (
        (
            "$NO_SUCH",
            "mine.yaml:6 notify[0].url: $NO_SUCH is not set in the environment; export it",
        ),
        ("s3cr3t", "mine.yaml:6 notify[0].url: must be an address of http or https"),
    ):
        (folder / "mine.yaml").write_text(f"{text}notify: [{{url: {url}}}]\n")
        answer = cli(*RUN)
        assert (answer.code, answer.err.count("\n")) == (3, 1)
        assert told in answer.err
        assert "s3cr3t" not in answer.err
    assert not Path("runs/optsearch.db").exists()
