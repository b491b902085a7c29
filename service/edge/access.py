"""Who may ask for what, and how often: API keys with scopes, and a token bucket for each caller.

A key is known by its SHA-256 only. Without keys everything but the admin routes is open; admin routes are off
until there is an admin key.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ranking.errors import UsageError
from service.edge.incoming import Incoming
from service.edge.proxies import Proxies
from service.errors import ApiError

READ, ADMIN = "read", "admin"
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"})
"""What says nothing of models or data, and the page, which asks for a key itself."""
OPEN_PREFIX = "/page/"
KEPT_BUCKETS = 10_000


@dataclass(frozen=True)
class Key:
    """A caller's name, what he may do, and the SHA-256 of the key he shows."""

    name: str
    scope: str
    digest: bytes


def parse_keys(text: str, where: str) -> list[Key]:
    """Keys from lines `NAME SCOPE SHA256`; empty lines and those that begin with # say nothing.

    Raises UsageError with the line that is wrong.
    """
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, scope, digest = words
            key = Key(name, scope, bytes.fromhex(digest.removeprefix("sha256:")))
        except ValueError:
            raise UsageError(
                f"{where}:{number}: expected NAME SCOPE SHA256, as `rankwright keys new` prints"
            ) from None
        if scope not in (READ, ADMIN) or len(key.digest) != 32:
            raise UsageError(
                f"{where}:{number}: the scope is {READ} or {ADMIN}, the digest 64 hexadecimal digits"
            )
        keys.append(key)
    return keys


def read_keys(file: Path | None, lines: str | None) -> list[Key]:
    """The keys of a file, and of a setting whose lines may be separated by commas.

    Raises UsageError where the file cannot be read, and where either is given and holds none: a service meant
    to be closed must not open.
    """
    keys: list[Key] = []
    if lines is not None:
        keys += parse_keys(lines.replace(",", "\n"), "setting `keys`")
        if not keys:
            raise UsageError("setting `keys` holds no key: `rankwright keys new` prints one, or remove it")
    if file is not None:
        try:
            found = parse_keys(file.read_text(), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"setting `keys_file`: {file} cannot be read: {error}") from error
        if not found:
            raise UsageError(f"setting `keys_file`: {file} holds no key")
        keys += found
    return keys


def who_may(keys: Sequence[Key]) -> str:
    """In a few words, for whoever starts the service."""
    if not keys:
        return "open to everyone"
    admins = sum(key.scope == ADMIN for key in keys)
    return f"{len(keys)} {'key' if len(keys) == 1 else 'keys'}, {admins or 'no'} admin"


class Access:
    """Decides on requests by their path and headers.

    With a `rate` (requests a second) each caller has a bucket, and every request costs a token, refused ones
    too: a caller is a key, or without one the address that `proxies` find.
    """

    def __init__(self, keys: Sequence[Key], rate: float | None, burst: int, proxies: Proxies) -> None:
        self._keys = list(keys)
        self._closed = bool(self._keys)
        self._has_admin = any(key.scope == ADMIN for key in self._keys)
        self._buckets = None if rate is None else Buckets(rate, burst)
        self._proxies = proxies

    def check(self, incoming: Incoming) -> None:
        """Raises ApiError 401 without a valid key, 403 for one that may not, 429 for too many."""
        path = incoming.path
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return
        admin = needs_admin(path, incoming.method)
        key = self._shown(incoming)
        if self._buckets is not None:
            caller = f"peer:{self._proxies.caller(incoming)}" if key is None else f"key:{key.name}"
            self._buckets.take(caller)
        if admin and not self._has_admin:
            raise ApiError(
                403,
                "admin_off",
                "this route is off: it needs an admin key, and the service has none configured",
            )
        if (admin or self._closed) and key is None:
            raise ApiError(
                401,
                "unauthorized",
                "send a valid key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if admin and key is not None and key.scope != ADMIN:
            raise ApiError(403, "forbidden", f"the key {key.name!r} may only read: this needs an admin key")

    def _shown(self, incoming: Incoming) -> Key | None:
        """The key the request shows; all are compared, so that the time does not tell which came near."""
        if not self._closed:
            return None
        scheme, _, token = incoming.header("authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() in ("bearer", "token") else incoming.header("x-api-key", "")
        digest = hashlib.sha256(shown.encode(errors="surrogatepass")).digest()
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None


def needs_admin(path: str, method: str) -> bool:
    """What changes the service: stored features and models."""
    return method not in ("GET", "HEAD") and path.startswith(("/v1/features", "/v1/models"))


class Buckets:
    """A token bucket for each caller: `burst` at once, `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Raises ApiError 429, which says when to come again."""
        now = time.monotonic()
        with self._lock:
            tokens, seen = self._held.pop(caller, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - seen) * self._rate)
            enough = tokens >= 1
            self._held[caller] = (tokens - 1 if enough else tokens, now)
            while len(self._held) > KEPT_BUCKETS:
                self._held.popitem(last=False)
        if not enough:
            seconds = math.ceil((1 - tokens) / self._rate)
            raise ApiError(
                429,
                "rate_limited",
                f"more than {self._rate:g} requests a second: try again in {seconds} s",
                headers={"Retry-After": str(max(seconds, 1))},
            )


HARDENED = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
"""Headers of every answer."""
