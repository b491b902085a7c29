"""What is bounded before a request exists: bytes and number of headers, and the time of a connection."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from service.server.protocol import BoundedConfig

LIMIT, HEADERS = 4096, 20
RECEIVE_SECONDS = 0.6
END = b"\r\n\r\n"

Connect = Callable[[], socket.socket]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path and the size of the body; /slow takes its time, /early reads no body."""
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(0.2)
    body = f"{scope['path']} {size}\n".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connect() -> Iterator[Connect]:
    """connect() is a connection to a server with short times and small limits."""
    config = BoundedConfig(
        app,
        receive_seconds=RECEIVE_SECONDS,
        max_connections=100,
        max_header_bytes=LIMIT,
        max_headers=HEADERS,
        timeout_keep_alive=30,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()

        def connect_one() -> socket.socket:
            connection = socket.create_connection(address, timeout=5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.append(connection)
            return connection

        yield connect_one
        for connection in opened:
            connection.close()
        server.should_exit = True
        serving.join()


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    chunks = []
    with suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 16):
            chunks.append(chunk)
    return b"".join(chunks)


def answer(connection: socket.socket) -> bytes:
    """The body of the next answer of the app."""
    found = b""
    while END not in found or not found.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        assert chunk, found
        found += chunk
    return found.partition(END)[2]


def statuses(content: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", content)]


def head(size: int, path: str = "/a", method: str = "GET", *lines: str) -> bytes:
    """Request line and headers of so many bytes."""
    start = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "X-Filler: "]).encode()
    return start + b"f" * (size - len(start) - len(END)) + END


@pytest.mark.parametrize("packet", [1 << 20, 1000, 37])
def test_headers_up_to_the_limit_are_taken_and_one_byte_more_is_a_431(connect: Connect, packet: int) -> None:
    """However they are split over packets; the answer is the one error shape, and the end."""
    good, bad = head(LIMIT), head(LIMIT + 1)
    assert (len(good), len(bad)) == (LIMIT, LIMIT + 1)
    connection = connect()
    for _ in range(2):
        for start in range(0, LIMIT, packet):
            connection.sendall(good[start : start + packet])
        assert answer(connection) == b"/a 0\n"
    for start in range(0, LIMIT + 1, packet):
        connection.sendall(bad[start : start + packet])
    reply = received(connection)
    fields, _, content = reply.partition(END)
    assert statuses(reply) == [431]
    error = json.loads(content)
    assert error["error"] == "headers_too_large"
    assert error["message"] == error["detail"]
    assert f"larger than {LIMIT} bytes" in error["message"]
    assert error["request_id"]
    for line in (b"connection: close", b"content-type: application/json", b"x-content-type-options: nosniff"):
        assert line in fields.lower().splitlines()


@pytest.mark.parametrize(
    "start",
    [
        b"GET /",
        b"GET /a?",
        b"GET / HTTP/1.1\r\nX-",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    ],
)
def test_nothing_without_an_end_grows(connect: Connect, start: bytes) -> None:
    """URL, query, name, value, trailer and the extension of a chunk."""
    connection = connect()
    connection.sendall(start)
    with suppress(ConnectionError):
        for _ in range(20):
            connection.sendall(b"1" * 1000)
    assert statuses(received(connection)) == [431]


def test_many_headers_are_a_431(connect: Connect) -> None:
    """Of a request and of the trailers behind its body, which the parser takes for the same."""
    host, line = b"GET /a HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"
    connection = connect()
    connection.sendall(host + line * (HEADERS - 1) + b"\r\n")
    assert answer(connection) == b"/a 0\n"
    connection.sendall(host + line * HEADERS + b"\r\n")
    reply = received(connection)
    assert statuses(reply) == [431]
    assert f"more than {HEADERS}".encode() in reply
    chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    connection = connect()
    connection.sendall(chunked + line * HEADERS + b"\r\n")
    assert statuses(received(connection)) == [431]


@pytest.mark.parametrize("packet", [1 << 20, 3001])
def test_bodies_are_not_counted(connect: Connect, packet: int) -> None:
    """Beyond the limit, whole and in chunks of any size, and pipelined behind each other."""
    size = 10 * LIMIT
    whole = head(300, "/whole", "POST", f"Content-Length: {size}") + b"w" * size
    for chunk in (1, 1000, size):
        frames = [b"%x\r\n%b\r\n" % (chunk, b"c" * chunk)] * (size // chunk)
        chunked = head(300, "/chunked", "POST", "Transfer-Encoding: chunked") + b"".join(frames)
        sent = (whole + chunked + b"0\r\nX-Trailer: t\r\n\r\n" + head(LIMIT, "/last")) * 2
        connection = connect()
        sending = threading.Thread(
            target=lambda connection=connection, sent=sent: [
                connection.sendall(sent[start : start + packet]) for start in range(0, len(sent), packet)
            ]
        )
        sending.start()
        found = b""
        while found.count(b"/last 0\n") < 2:
            found += connection.recv(1 << 16)
        sending.join()
        bodies = re.findall(rb"/\w+ \d+", found)
        assert bodies == [b"/whole %d" % size, b"/chunked %d" % (size // chunk * chunk), b"/last 0"] * 2
        connection.close()


@pytest.mark.parametrize("wrong", [head(2 * LIMIT + 1), b"GET / HTTP/1.1\r\na b: c\r\n\r\n"])
def test_a_refusal_is_not_taken_for_the_answer_to_an_earlier_request(connect: Connect, wrong: bytes) -> None:
    """That one gets its own, and then the connection is closed."""
    connection = connect()
    connection.sendall(head(100, "/slow") + wrong)
    reply = received(connection)
    assert statuses(reply) == [200]
    assert reply.endswith(b"/slow 0\n")


def test_what_is_no_http_is_told_so_in_the_one_error_shape(connect: Connect) -> None:
    """Before a request and within a body; the app learns that the body will not come."""
    for sent in (b"\x16\x03\x01", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense"):
        connection = connect()
        connection.sendall(sent)
        reply = received(connection)
        assert statuses(reply) == [400]
        assert json.loads(reply.partition(END)[2])["error"] == "malformed_http"


def closed_after(connection: socket.socket, dribble: bytes = b"") -> float:
    """Seconds until the other side closes, while something is sent every now and then; 3 at most."""
    began = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() - began < 3:
        try:
            connection.sendall(dribble)
            if not connection.recv(1000):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("dribble", [b"", b"\r\n", b"\r", b"\n"])
def test_blank_lines_after_an_answer_keep_no_connection(connect: Connect, dribble: bytes) -> None:
    """One of them, then silence or more of them: the deadline runs from the first."""
    connection = connect()
    connection.sendall(head(100))
    assert answer(connection) == b"/a 0\n"
    connection.sendall(b"\r\n")
    assert RECEIVE_SECONDS - 0.1 < closed_after(connection, dribble) < RECEIVE_SECONDS + 1


def test_a_body_that_ends_after_its_answer_keeps_no_connection(connect: Connect) -> None:
    """The answer came before the body was read; what follows is no request."""
    connection = connect()
    connection.sendall(head(100, "/early", "POST", "Content-Length: 10") + b"12345")
    assert answer(connection) == b"/early 0\n"
    connection.sendall(b"67890")
    assert RECEIVE_SECONDS - 0.1 < closed_after(connection) < RECEIVE_SECONDS + 1


def test_an_idle_connection_waits_for_its_next_request(connect: Connect) -> None:
    """For uvicorn's time without a blank line, for ours after one; the request has then its whole time."""
    connection = connect()
    for pause, blank in ((0.0, b""), (RECEIVE_SECONDS + 0.2, b""), (0.0, b"\r\n"), (0.0, b"\r\n\r\n")):
        time.sleep(pause)
        connection.sendall(blank)
        time.sleep(0.6 * RECEIVE_SECONDS if blank else 0.0)
        request = head(100)
        connection.sendall(request[:50])
        time.sleep(0.6 * RECEIVE_SECONDS)
        connection.sendall(request[50:])
        assert answer(connection) == b"/a 0\n"


def test_a_huge_header_stalls_nobody(connect: Connect) -> None:
    """Its sender is refused after the limit, while others are answered at once."""
    slowest = 0.0
    flooding = connect()

    def flood() -> None:
        with suppress(OSError):
            flooding.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (64 << 20))

    sending = threading.Thread(target=flood)
    sending.start()
    other = connect()
    while sending.is_alive():
        asked = time.monotonic()
        other.sendall(head(100))
        assert answer(other) == b"/a 0\n"
        slowest = max(slowest, time.monotonic() - asked)
    assert slowest < 0.5
