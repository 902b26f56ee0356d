"""Who may ask the dashboard for what: a WSGI middleware in front of any application.

optuna-dashboard itself lets everybody delete everything. In front of it stand, in this order: the
Host header (a web page that rebinds its own name to our address must not read us), the password,
the method (read-only unless said otherwise), and the origin of a change (browsers send the
password along with requests of other people's pages).
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SAFE = ("GET", "HEAD", "OPTIONS")
BURST, REFILL_S = 10, 6.0  # wrong passwords of a client: at once, and one more every so often
_CLIENTS = 10_000  # whose wrong passwords are remembered
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_SEEN = re.compile(r"(?:^|[;\s])optsearch-seen=([0-9a-f]{16})\.([0-9a-f]{64})(?:$|[;\s])")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FRAMES = "frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
# an SVG that is opened by itself is a document, and would run its scripts as ours
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Rules:
    """What the gate lets through.

    `hosts`: names, beside IP addresses and localhost, under which the dashboard is reached;
    `is_proxied`: a proxy on this machine tells the client's address in X-Forwarded-For.
    """

    password: str | None = None
    is_editable: bool = False
    hosts: frozenset[str] = frozenset()
    is_proxied: bool = False


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the application's."""

    status: str
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


class Gate:
    """The middleware. It keeps nothing but how often which client was wrong."""

    def __init__(self, app: Any, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._digest = _digest(rules.password.encode()) if rules.password is not None else None
        self._key = secrets.token_bytes(32)  # signs the mark of clients that knew the password
        self._attempts = Attempts()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        added: Headers = []
        refused = (
            self._host(environ)
            or self._login(environ, added)
            or self._method(environ)
            or self._origin(environ)
        )

        def start(status: str, headers: Headers, *error: Any) -> Any:
            return start_response(status, secured(environ, headers) + added, *error)

        if refused is not None:
            return _answer(refused, environ, start)
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")  # optuna-dashboard takes it for granted
        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def _host(self, environ: dict[str, Any]) -> Refusal | None:
        """Addresses are no names, so nobody can rebind them."""
        found = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        if found is None:
            return Refusal("400 Bad Request", "the Host header names no host")
        name = found[1].lower().rstrip(".")
        if name == "localhost" or name in self._rules.hosts or _address(name.strip("[]")):
            return None
        return Refusal(
            "403 Forbidden",
            f"the dashboard does not know itself as '{name}'; "
            f"start it with --allowed-host {name} if that is its name",
        )

    def _login(self, environ: dict[str, Any], added: Headers) -> Refusal | None:
        if self._digest is None:
            return None
        given, digest = _password(environ.get("HTTP_AUTHORIZATION", "")), self._digest
        if given is None:
            return _ASK
        client = self._seen(environ)
        right, wait_s = self._attempts.judge(
            client or _peer(environ, self._rules.is_proxied),
            lambda: hmac.compare_digest(_digest(given), digest),
        )
        if wait_s:
            return Refusal(
                "429 Too Many Requests",
                f"too many wrong passwords; try again in {wait_s} s",
                (("Retry-After", str(wait_s)),),
            )
        if right and client is None:
            added.append(("Set-Cookie", self._mark()))
        return None if right else _ASK

    def _mark(self) -> str:
        name = secrets.token_hex(8)
        content = f"{name}.{self._sign(name)}"
        return f"optsearch-seen={content}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"

    def _seen(self, environ: dict[str, Any]) -> str | None:
        """The mark of a client that once knew the password. It opens nothing, but its attempts
        are counted by themselves: who guesses from the same address cannot lock it out."""
        found = _SEEN.search(environ.get("HTTP_COOKIE", ""))
        if found and hmac.compare_digest(found[2], self._sign(found[1])):
            return f"seen {found[1]}"
        return None

    def _sign(self, name: str) -> str:
        return hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()

    def _method(self, environ: dict[str, Any]) -> Refusal | None:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return Refusal("204 No Content", "", (("Allow", ", ".join(SAFE)),))
        if method in SAFE or self._rules.is_editable:
            return None
        return Refusal(
            "403 Forbidden",
            "this dashboard is read-only; `optsearch dashboard --allow-edit` can change studies",
        )

    def _origin(self, environ: dict[str, Any]) -> Refusal | None:
        """A change is asked for by our own page, or by a program that says where it goes."""
        if environ["REQUEST_METHOD"] in SAFE:
            return None
        told = environ.get("HTTP_ORIGIN") or environ.get("HTTP_REFERER", "")
        if _netloc(told) == environ["HTTP_HOST"].lower():
            return None
        return Refusal(
            "403 Forbidden",
            "a change must come from the dashboard's own page: the Origin header must name "
            "the same host as the Host header",
        )


_ASK = Refusal(
    "401 Unauthorized",
    "the dashboard's password, please; any user name will do",
    (("WWW-Authenticate", 'Basic realm="optsearch", charset="UTF-8"'),),
)


class Attempts:
    """Wrong passwords by client: BURST at once, then one every REFILL_S, whoever else tries."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many, when

    def judge(self, client: str, is_right: Callable[[], bool]) -> tuple[bool, int]:
        """Whether the password is right, and the seconds to wait before it is looked at (0: now).

        One at a time: many attempts at once are no more than as many one after the other.
        """
        with self._lock:
            count, then = self._wrong.get(client, (0.0, 0.0))
            count = max(0.0, count - (self._now() - then) / REFILL_S)
            if count > BURST - 1:
                return False, math.ceil((count - BURST + 1) * REFILL_S)
            right = is_right()
            if not right:
                self._wrong[client] = (count + 1, self._now())
                self._wrong.move_to_end(client)
                if len(self._wrong) > _CLIENTS:
                    self._wrong.popitem(last=False)
            return right, 0


def secured(environ: dict[str, Any], headers: Headers) -> Headers:
    """The application's headers, with what keeps browsers from being used against the user."""
    path = environ.get("PATH_INFO", "")
    kept = {k.lower(): (k, v) for k, v in headers if not k.lower().startswith("access-control-")}
    _, policy = kept.pop("content-security-policy", ("", "default-src 'none'"))
    policy = _SANDBOX if path.startswith("/artifacts/") else policy
    # pictures and scripts of the package may be kept if asked for again; data may not
    caching = "no-cache" if path.startswith(("/static/", "/favicon")) else "no-store"
    kept.pop("cache-control", None)
    several = [(k, v) for k, v in headers if k.lower() == "set-cookie"]
    kept.pop("set-cookie", None)
    return [
        *kept.values(),
        *several,
        ("Cache-Control", caching),
        ("Content-Security-Policy", f"{policy}; {_FRAMES}"),
        *_HEADERS.items(),
    ]


def answer_with(
    status: str, reason: str, environ: dict[str, Any], start: Any, headers: Headers
) -> Iterable[bytes]:
    """A sentence, as optuna-dashboard's page reads it or as a person does."""
    is_api = environ.get("PATH_INFO", "").startswith("/api")
    body = json.dumps({"reason": reason}) if is_api else f"{reason}\n"
    body = "" if status.startswith("204") else body
    kind = "application/json" if is_api else "text/plain; charset=utf-8"
    length = [("Content-Length", str(len(body.encode())))] if body else []
    start(status, [("Content-Type", kind), *length, *headers] if body else headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]


def _answer(refused: Refusal, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    return answer_with(refused.status, refused.reason, environ, start, list(refused.headers))


def _digest(password: bytes) -> bytes:
    """Of one length whatever the password's: a comparison must not tell even that."""
    return hashlib.sha256(password).digest()


def _password(authorization: str) -> bytes | None:
    """What follows the user name in `Basic USER:PASSWORD`; None where nothing was given."""
    scheme, _, content = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(content.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def _peer(environ: dict[str, Any], is_proxied: bool) -> str:
    """The client's address: behind a proxy of this machine the last one that it tells."""
    peer = _address(environ.get("REMOTE_ADDR", ""))
    if is_proxied and (peer is None or peer.is_loopback):
        told = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        peer = _address(told) or peer
    if isinstance(peer, ipaddress.IPv6Address):  # whoever has one of them has all of its /64
        return str(ipaddress.ip_network((peer, 64), strict=False))
    return str(peer)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
