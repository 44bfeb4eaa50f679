"""What can be read in two ways, through the real Envoy: it reaches neither real server, though both would run some of it."""

from collections.abc import Iterator

import pytest

from gateways import Gateway, gateway
from malformed import RawSession, bodies, message

# The tool that is forbidden to who asks, in the words of each server: a refund of too much, and what the environment of the
# server holds. The others of the same bodies are harmless.
FORBIDDEN = {
    "crm": {'"amount":30': '"amount":300'},
    "everything": {"issue_refund": "get-env", "lookup_customer": "echo", "export_customers": "get-env"},
}
TOOL = {"crm": "issue_refund", "everything": "get-env"}
# With the revision in the header, without, and as the newer era has it.
LEGACY, MODERN = {"mcp_protocol_version": "2025-11-25"}, {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call"}
BODIES_MIN = 80
# So many of the bodies do run the tool where nothing stands before the server.
RAN_MIN = {"crm": 15, "everything": 15}


@pytest.fixture(scope="module", params=TOOL)
def before(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp(request.param), request.param) as envoy:
        yield envoy


def test_no_malformed_body_runs_a_forbidden_tool(before: Gateway) -> None:
    client = RawSession(before.envoy.url, before.bearer())
    ran, passed = before.did(), before.envoy.passed()
    eras = ({}, LEGACY, MODERN | {"mcp_session_id": "", "mcp_name": TOOL[before.name]})
    sent = 0
    for what, body in bodies(**FORBIDDEN[before.name]):
        for era in eras:
            status, _, said = client.post(body, **era)
            assert status in {400, 403}, (what, era, status, said)
            sent += 1
    assert sent >= BODIES_MIN * len(eras)
    assert before.did() == ran, "a forbidden tool ran"
    assert before.envoy.passed() == passed, "the server heard of a malformed body"


@pytest.mark.parametrize("before", ["crm"], indirect=True)
def test_no_malformed_body_runs_a_tool_that_is_allowed(before: Gateway) -> None:
    client = RawSession(before.envoy.url, before.bearer())
    ran, passed = before.did(), before.envoy.passed()
    for what, body in bodies():
        for era in ({}, LEGACY):
            status, _, said = client.post(body, **era)
            assert status == 400, (what, era, status, said)
    assert (before.did(), before.envoy.passed()) == (ran, passed)
    good = message(1, "tools/call", name="issue_refund", arguments={"order": "o-1", "amount": 30})
    assert client.post(good, **LEGACY)[0] == 200
    assert before.did() == [*ran, "issue_refund"]


def test_without_the_gateway_some_of_these_bodies_do_run_the_tool(before: Gateway) -> None:
    client = RawSession(before.server.url, {})
    runs = []
    for what, body in bodies(**FORBIDDEN[before.name]):
        ran = len(before.did())
        client.post(body, **LEGACY)
        if before.did()[ran:] == [TOOL[before.name]]:
            runs.append(what)
    print(before.name, "runs", len(runs), "of them:", *runs, sep="\n  ")
    assert len(runs) >= RAN_MIN[before.name]


def test_no_odd_header_makes_another_call_of_it(before: Gateway) -> None:
    client = RawSession(before.envoy.url, before.bearer())
    ran, passed = before.did(), before.envoy.passed()
    arguments = {"order": "o-1", "amount": 300} if before.name == "crm" else {}
    call = message(1, "tools/call", name=TOOL[before.name], arguments=arguments)
    replaced = [
        {"content_type": "text/plain"},
        {"content_type": ""},
        {"content_type": "application/json; charset=utf-16"},
        {"content_encoding": "gzip"},
        {"x_http_method_override": "GET"},
        {"mcp_protocol_version": "2031-01-01"},
        {"mcp_method": "ping"},
        {"mcp_name": "echo"},
        MODERN,
        MODERN | {"mcp_method": "tools/list"},
        MODERN | {"mcp_name": "lookup_customer"},
        MODERN | {"mcp_name": "=?base64?bG9va3VwX2N1c3RvbWVy?="},
        {"authorization": "Basic YW5hOng="},
    ]
    added = [
        ("content-type", "text/plain"),
        ("content-length", "10"),
        ("transfer-encoding", "chunked"),
        ("mcp-session-id", "another"),
        ("authorization", "Bearer e30.e30.e30"),
        ("x-envoy-auth-partial-body", "true"),
    ]
    for headers in replaced:
        status, _, said = client.post(call, **headers)
        assert status in {400, 403}, (headers, status, said)
    for header in added:
        # Envoy ends the connection on some of them.
        client = RawSession(before.envoy.url, before.bearer())
        passed += 2
        status, _, said = client.post(call, header)
        assert status in {400, 403}, (header, status, said)
    client = RawSession(before.envoy.url, before.bearer())
    passed += 2
    much = message(1, "tools/call", name=TOOL[before.name], arguments={"order": "o" * (2 << 20)})
    assert client.post(much)[0] == 413
    assert before.did() == ran, "a forbidden tool ran"
    assert before.envoy.passed() == passed, "the server heard of it"
