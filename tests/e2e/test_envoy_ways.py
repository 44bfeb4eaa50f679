"""Paths and framings that clients of HTTP do not use but somebody may: none leads round the filter of the real Envoy."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from gateways import ANSWER_S, Gateway, gateway
from malformed import RawSession, message


@pytest.fixture(scope="module")
def before_crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("crm")) as envoy:
        yield envoy


def refund(amount: int) -> bytes:
    return message(1, "tools/call", name="issue_refund", arguments={"order": "o-1", "amount": amount})


FORBIDDEN = refund(300)
# The page lets requests below `/.well-known/` through without a question, and has no other way to the server than `/mcp`.
PATHS = [
    "/mcp?a=b",
    "/mcp/",
    "/MCP",
    "/mcp;x",
    "/mcp%2f",
    "/mcp#x",
    "//mcp",
    "/.well-known/../mcp",
    "/.well-known/..%2fmcp",
    "/.well-known/..%5cmcp",
    "/.well-known/%2e%2e/mcp",
    "/.well-known/..\\mcp",
    "/.well-known/;/../../mcp",
    "/.well-known/#/../../mcp",
    "http://elsewhere/mcp",
]


def chunked(body: bytes, trailers: bytes = b"") -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


LENGTH = f"content-length: {len(FORBIDDEN)}"
# The first line, headers, and what follows them.
FRAMINGS = [
    ("POST /mcp HTTP/1.1", ["transfer-encoding: chunked"], chunked(FORBIDDEN)),
    ("POST /mcp HTTP/1.1", ["transfer-encoding: chunked", "trailer: mcp-name"], chunked(FORBIDDEN, b"mcp-name: x\r\n")),
    ("POST /mcp HTTP/1.1", ["transfer-encoding: chunked", LENGTH], chunked(FORBIDDEN)),
    ("POST /mcp HTTP/1.1", ["transfer-encoding: identity, chunked"], chunked(FORBIDDEN)),
    ("POST /mcp HTTP/1.1", [LENGTH, f"content-length: {len(FORBIDDEN) - 1}"], FORBIDDEN),
    ("POST /mcp HTTP/1.1", [f"content-length: +{len(FORBIDDEN)}"], FORBIDDEN),
    ("POST /mcp HTTP/1.1", [LENGTH, "x-a: 1\r\n mcp-method: ping"], FORBIDDEN),
    ("POST /mcp HTTP/1.1", [LENGTH, "mcp_name: x"], FORBIDDEN),
    ("POST /mcp HTTP/1.1", [LENGTH, "upgrade: websocket"], FORBIDDEN),
    ("POST /mcp HTTP/1.1", [LENGTH, "upgrade: h2c", "http2-settings: AAMAAABkAAQCAAAAAAIAAAAA"], FORBIDDEN),
    ("POST /mcp HTTP/1.0", [LENGTH], FORBIDDEN),
    ("post /mcp HTTP/1.1", [LENGTH], FORBIDDEN),
    ("PUT /mcp HTTP/1.1", [LENGTH], FORBIDDEN),
    ("GET /mcp HTTP/1.1", [LENGTH], FORBIDDEN),
    ("CONNECT /mcp HTTP/1.1", [LENGTH], FORBIDDEN),
]


def test_no_path_and_no_framing_leads_round_the_filter(before_crm: Gateway) -> None:
    session = RawSession(before_crm.envoy.url, before_crm.bearer())
    ran, passed = before_crm.did(), before_crm.envoy.passed()
    for line, headers, rest in [(f"POST {path} HTTP/1.1", [LENGTH], FORBIDDEN) for path in PATHS] + FRAMINGS:
        status = sent(before_crm, session, line, headers, rest)
        assert status in {400, 403, 404, 426, 501}, (line, headers, status)
    assert (before_crm.did(), before_crm.envoy.passed()) == (ran, passed)
    # A body in chunks that may go on does so.
    allowed = sent(before_crm, session, "POST /mcp HTTP/1.1", ["transfer-encoding: chunked"], chunked(refund(30)))
    assert allowed == 200
    assert before_crm.did() == [*ran, "issue_refund"]


def sent(envoy: Gateway, session: RawSession, line: str, headers: list[str], rest: bytes) -> int:
    """The status of the answer to what is sent as it stands, on a connection of its own."""
    at = urlsplit(envoy.envoy.url)
    named = [f"{name}: {value}" for name, value in session.headers.items()]
    also = [f"host: {at.netloc}", "mcp-protocol-version: 2025-11-25", "connection: close"]
    with socket.create_connection((at.hostname, at.port), timeout=ANSWER_S) as connection:
        connection.sendall("\r\n".join([line, *also, *named, *headers, "", ""]).encode() + rest)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split(b" ", 2)[1])
            if status == 200:
                # A stream begins before the tool runs.
                answer.read()
    return status
