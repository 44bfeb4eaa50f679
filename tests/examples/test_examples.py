"""The examples for Python and TypeScript: servers with real clients of both SDKs and both eras, and a real Palisade."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.shared.exceptions import MCPDeprecationWarning

import running
from guarded import ANA, BO, HERE, NODE, SERVERS, crm
from running import Palisade
from sessions import CLIENTS, Refused, session
from stubs import pb

UNCLEARED = "this handles data that you, or the person you act for, are not cleared for"
NO_PERMIT = "no policy permits this step to the party that the agent acts for"
DRIFTED = "was reviewed"
UNFULFILLED = "something that has to be done together with this step could not be done"
NO_ANSWER = "no authorization decision could be made, so nothing was done"
DENIED, FAILED = -32001, -32603
# How long the examples wait for an answer unless told otherwise; the rest is for a slow machine.
TIMEOUT_S, SLOW_MACHINE_S = 1.0, 4.0
CHANGE_S = 10.0
ISSUER, AUDIENCE = "https://idp.acme.example", "https://crm.acme.example/mcp"
LOOKUP = ("call", "lookup_customer", {"customer_id": "c-1"})
# Text that would show any careless second encoding.
ODD = 'o-"1"\\u0041\u2028é😀'
# A session that touches all that the sample servers offer.
SESSION: list[tuple[Any, ...]] = [
    ("tools",),
    LOOKUP,
    ("call", "issue_refund", {"order": ODD, "amount": 5000}),
    ("call", "delete_customer", {"customer_id": "c-2"}),
    ("call", "send_email", {"to": "ines@customer.example", "subject": "hello", "body": ""}),
    ("call", "export_customers", {}),
    ("resources",),
    ("read", "crm://plans"),
    ("prompts",),
    ("prompt", "apology"),
]
# Calls of the reference server's tools, and what no two of its runs share. Those that do not fit a tool's schema are refused
# by Palisade before the server can, in words of its own.
EVERYTHING: list[tuple[str, dict[str, Any]]] = [
    ("echo", {"message": ODD}),
    ("get-sum", {"a": 1, "b": 2.5}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-env", {}),
    ("get-resource-links", {"count": 3}),
    ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
    ("get-roots-list", {}),
    ("get-structured-content", {"location": "Chicago"}),
    ("get-tiny-image", {}),
    ("trigger-elicitation-request", {}),
    ("trigger-sampling-request", {"prompt": "yes?", "maxTokens": 5}),
    ("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
]
VARIES = re.compile(r"\d{1,2}:\d{2}:\d{2} [AP]M|\d{4}-\d{2}-\d{2}T[0-9:.]+Z")
# What Ana's bot may call in some way: only leads may export, and deleting is forbidden whatever the arguments.
CALLABLE = ["issue_refund", "lookup_customer", "send_email"]


@pytest.fixture(scope="module")
def palisade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palisade]:
    with running.palisade(tmp_path_factory.mktemp("palisade")) as pdp:
        yield pdp


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Palisade]:
    """A Palisade that a test may edit, kill or stop."""
    with running.palisade(tmp_path) as pdp:
        yield pdp


async def refused(doing: Any) -> tuple[str, int | None]:
    with pytest.raises(Refused) as refusal:
        await doing
    return refusal.value.words, refusal.value.code


@pytest.fixture(scope="module")
def permissive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palisade]:
    """A Palisade whose only policy permits everything."""
    scratch = tmp_path_factory.mktemp("permissive")
    configured = running.CONFIGURATION.replace("servers: [crm]", "servers: [crm, everything]")
    with running.palisade(scratch, configured=configured) as pdp:
        (scratch / "policies").mkdir()
        (scratch / "policies" / "all.cedar").write_text('@id("all") permit (principal, action, resource);', encoding="utf-8")
        (pdp.bundle / "policies").rename(scratch / "shipped")
        (scratch / "policies").rename(pdp.bundle / "policies")
        until(lambda: pdp.authorize(asked("delete_customer", {"customer_id": "c-1"})).decision == pb.DECISION_PERMIT)
        yield pdp


def asked(tool: str, arguments: dict[str, Any]) -> pb.AuthorizeRequest:
    """Whether Ana's bot may call a tool, as Palisade is asked directly."""
    human, actor = pb.EntityUid(type="Human", id="ana"), pb.EntityUid(type="Agent", id="support-bot")
    params = json.dumps({"name": tool, "arguments": arguments}).encode()
    message = pb.McpMessage(server="crm", method="tools/call", params=params, protocol_version="2025-11-25")
    return pb.AuthorizeRequest(subject=pb.Subject(principal=human, actor=actor), mcp=message)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CHANGE_S
    while not holds():
        assert time.monotonic() < deadline, f"nothing changed within {CHANGE_S} s"


async def refused(doing: Any) -> tuple[str, int | None]:
    with pytest.raises(Refused) as refusal:
        await doing
    return refusal.value.words, refusal.value.code


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_an_allowed_tool_runs_a_denied_one_does_not_and_lists_show_what_may_be_used(
    server: str, client: str, palisade: Palisade, tmp_path: Path
) -> None:
    async def steps(url: str) -> None:
        async with session(client, url, ANA) as ana:
            assert sorted(await ana.do("tools")) == CALLABLE
            refund = await ana.do("call", "issue_refund", {"order": ODD, "amount": 30})
            assert refund == [False, f"refunded 30 EUR for order {ODD}"]
            assert await ana.do("call", "issue_refund", {"order": "o-1", "amount": 300}) == [True, NO_PERMIT]
            assert (await ana.do("call", "issue_refund", {"order": "o-1", "amount": "30"}))[0] is True
            assert (await ana.do("call", "export_customers", {}))[0] is True
            # The shipped policies let nobody read a resource or a prompt of this server.
            assert await ana.do("resources") == []
            assert await ana.do("prompts") == []
            words, code = await refused(ana.do("read", "crm://plans"))
            assert UNCLEARED in words
            assert code == DENIED
            assert UNCLEARED in (await refused(ana.do("prompt", "apology")))[0]
        async with session(client, url, BO) as bo:
            assert await bo.do("tools") == []
            assert (await bo.do("call", "lookup_customer", {"customer_id": "c-1"}))[0] is True

    with crm(server, tmp_path, palisade.grpc) as guarded:
        asyncio.run(steps(guarded.url))
        assert [(line["did"], line["order"], line["amount"]) for line in guarded.did()] == [("issue_refund", ODD, 30)]


@pytest.mark.parametrize("server", SERVERS)
def test_without_palisade_every_call_is_refused_and_a_slow_one_is_not_waited_for(
    server: str, own: Palisade, tmp_path: Path
) -> None:
    async def steps(url: str) -> None:
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(session(client, url, ANA)) for client in CLIENTS]
            for one in sessions:
                assert (await one.do(*LOOKUP))[0] is False

            own.process.signal(signal.SIGSTOP)
            try:
                for one in sessions:
                    start = time.monotonic()
                    assert await one.do(*LOOKUP) == [True, NO_ANSWER]
                    assert time.monotonic() - start < TIMEOUT_S + SLOW_MACHINE_S
                    words, code = await refused(one.do("tools"))
                    assert NO_ANSWER in words
                    assert code == FAILED
            finally:
                own.process.signal(signal.SIGCONT)
            for one in sessions:
                assert (await one.do(*LOOKUP))[0] is False

            own.process.stop()
            for one in sessions:
                assert await one.do(*LOOKUP) == [True, NO_ANSWER]
                assert NO_ANSWER in (await refused(one.do("tools")))[0]
                assert NO_ANSWER in (await refused(one.do("read", "crm://plans")))[0]

    with crm(server, tmp_path, own.grpc, timeout_s=TIMEOUT_S) as guarded:
        asyncio.run(steps(guarded.url))
        assert len(guarded.did()) == 2 * len(CLIENTS), "a tool ran without a permit"


@pytest.mark.parametrize("server", SERVERS)
def test_a_permit_with_an_obligation_counts_only_where_it_is_fulfilled(
    server: str, own: Palisade, tmp_path: Path
) -> None:
    def notify(before: str, after: str) -> None:
        revision = own.authorize(asked(LOOKUP[1], LOOKUP[2])).revision
        own.replace("policies/org/support.cedar", before, after)
        until(lambda: own.authorize(asked(LOOKUP[1], LOOKUP[2])).revision != revision)

    async def lookup(url: str) -> list[Any]:
        async with session("python-auto", url, ANA) as ana:
            return await ana.do(*LOOKUP)

    notify('@id("support/crm")', '@id("support/crm")\n@obligation("notification: { to: desk@acme.example }")')
    with crm(server, tmp_path, own.grpc, "--notify") as able:
        assert asyncio.run(lookup(able.url))[0] is False
        assert [line["did"] for line in able.did()] == ["notify", "lookup_customer"]
        assert able.did()[0]["to"] == "desk@acme.example"

        notify("{ to: desk@acme.example }", "{ to: nobody }")
        assert asyncio.run(lookup(able.url)) == [True, UNFULFILLED]
        assert len(able.did()) == 2, "a tool ran without what it was to run with"
    outcomes = [line["status"] for line in own.audit() if line["type"] == "outcome"]
    assert outcomes[-1] == "not_executed"
    (tmp_path / "unable").mkdir()
    with crm(server, tmp_path / "unable", own.grpc) as unable:
        assert asyncio.run(lookup(unable.url))[0] is True
        assert unable.did() == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_tool_that_is_not_the_reviewed_one_is_neither_shown_nor_run(
    server: str, own: Palisade, tmp_path: Path
) -> None:
    async def steps(url: str) -> None:
        async with session("python-auto", url, ANA) as ana:
            assert sorted(await ana.do("tools")) == ["issue_refund", "send_email"]
            refused_call, words = await ana.do(*LOOKUP)
            assert refused_call and words.endswith(DRIFTED)

    revision = own.authorize(asked(LOOKUP[1], LOOKUP[2])).revision
    own.replace("tools/crm.json", "Look up one customer: name, e-mail address and plan.", "Look up a customer.")
    until(lambda: own.authorize(asked(LOOKUP[1], LOOKUP[2])).revision != revision)
    with crm(server, tmp_path, own.grpc) as guarded:
        asyncio.run(steps(guarded.url))
        assert guarded.did() == []


@pytest.mark.parametrize("server", SERVERS)
def test_the_access_token_says_who_asks_where_nothing_else_is_told(server: str, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {"kid": "1", "alg": "ES256", "use": "sig"}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [public]}), encoding="utf-8")
    issuer = f"{{ issuer: {ISSUER}, keys: {{ file: {tmp_path / 'jwks.json'} }}, human: {{}} }}"
    configured = running.CONFIGURATION.replace("authorize, assert, outcome", "authorize, outcome")

    def bearer(person: str, signed_by: ec.EllipticCurvePrivateKey = key) -> dict[str, str]:
        now, agent = int(time.time()), "spiffe://acme.example/agent/support-bot"
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": person, "client_id": "c", "jti": person, "iat": now, "exp": now + 300}
        headers = {"typ": "at+jwt", "kid": "1"}
        token = jwt.encode(claims | {"act": {"sub": agent}}, signed_by, algorithm="ES256", headers=headers)
        return {"authorization": f"Bearer {token}"}

    async def steps(url: str) -> None:
        async with session("python-auto", url, bearer("ana")) as ana:
            assert sorted(await ana.do("tools")) == CALLABLE
            assert (await ana.do(*LOOKUP))[0] is False
        # Another person, a key that nobody trusts, and the demonstration's headers, which say nothing here.
        forger = ec.generate_private_key(ec.SECP256R1())
        for headers in (bearer("bo"), bearer("ana", forger), ANA):
            async with session("python-auto", url, bearer("ana")) as caller:
                del caller.http.headers["authorization"]
                caller.http.headers.update(headers)
                assert (await caller.do(*LOOKUP))[0] is True

    with running.palisade(tmp_path, configured=f"{configured}trust: {{ issuers: [{issuer}] }}\n") as pdp:
        with crm(server, tmp_path, pdp.grpc, "--bearer") as guarded:
            asyncio.run(steps(guarded.url))
            assert [line["did"] for line in guarded.did()] == ["lookup_customer"]
            seen = [line for line in pdp.audit() if line["type"] == "decided" and line["outcome"] == "permit"]
            assert seen and all("token" in json.dumps(line) for line in seen)


@pytest.mark.parametrize("server", SERVERS)
def test_every_permit_ends_with_an_outcome_on_record(server: str, own: Palisade, tmp_path: Path) -> None:
    async def steps(url: str) -> None:
        async with session("python-auto", url, ANA) as ana:
            await ana.do("tools")
            await ana.do(*LOOKUP)
            await ana.do("call", "delete_customer", {"customer_id": "c-1"})

    with crm(server, tmp_path, own.grpc) as guarded:
        asyncio.run(steps(guarded.url))
    records = own.audit()
    permits = [line["decision"] for line in records if line["type"] == "decided" and line["outcome"] == "permit"]
    outcomes = {line["decision"]: line for line in records if line["type"] == "outcome"}
    assert len(permits) >= 2
    assert set(outcomes) == set(permits)
    assert {line["status"] for line in outcomes.values()} == {"succeeded"}
    assert all(line["result_bytes"] > 0 for line in outcomes.values())


@pytest.mark.parametrize("server", SERVERS)
def test_a_policy_that_permits_everything_changes_no_result_of_a_session(
    server: str, permissive: Palisade, tmp_path: Path
) -> None:
    async def steps(url: str) -> list[Any]:
        told = []
        for client in CLIENTS:
            async with session(client, url, ANA) as ana:
                for step in SESSION:
                    try:
                        told.append(await ana.do(*step))
                    except Refused as refusal:
                        told.append((refusal.words, refusal.code))
        return told

    said, did = [], []
    for name, address in (("bare", None), ("guarded", permissive.grpc)):
        (tmp_path / name).mkdir()
        with crm(server, tmp_path / name, address) as running_server:
            said.append(asyncio.run(steps(running_server.url)))
            did.append([{key: line[key] for key in line if key != "at"} for line in running_server.did()])
    assert said[0] == said[1]
    assert did[0] == did[1]
    assert sum(one == ["crm://plans"] for one in said[1]) == len(CLIENTS)
    assert len(did[1]) == 5 * len(CLIENTS)


def test_a_policy_that_permits_everything_changes_no_result_of_the_reference_server(
    permissive: Palisade, tmp_path: Path
) -> None:
    bare = asyncio.run(everything(tmp_path))
    before = len(permissive.audit())
    guarded = asyncio.run(everything(tmp_path, permissive.grpc, running.CRM_TOKEN))
    assert len(bare) >= 30
    for without, with_it in zip(bare, guarded, strict=True):
        assert without == with_it
    # All of them but the ping were decided; and the items of the two lists.
    assert sum(line["type"] == "decided" for line in permissive.audit()[before:]) >= len(bare)


async def everything(home: Path, *palisade: str) -> list[Any]:
    """What a client is told in a session with the reference server that touches all that it offers."""
    command = [str(HERE / "everything_server.mjs"), *palisade]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    server = StdioServerParameters(command=NODE, args=command, env=environment, cwd=home)
    told: list[Any] = []

    async def tell(doing: Any) -> Any:
        try:
            result = await doing
        except MCPError as error:
            told.append((error.error.code, error.error.message))
            return None
        text = json.dumps(result.model_dump(mode="json", by_alias=True)) if result is not None else ""
        told.append(VARIES.sub("…", text))
        return result

    async def sample(*_: Any) -> types.CreateMessageResult:
        return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="yes"), model="none")

    async def decline(*_: Any) -> types.ElicitResult:
        return types.ElicitResult(action="decline")

    async def no_roots(*_: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[])

    async with Client(
        server, mode="legacy", sampling_callback=sample, elicitation_callback=decline, list_roots_callback=no_roots
    ) as client:
        await tell(client.list_tools())
        for name, arguments in EVERYTHING:
            await tell(client.call_tool(name, arguments))
        resources = await tell(client.list_resources())
        await tell(client.list_resource_templates())
        for resource in resources.resources:
            await tell(client.read_resource(resource.uri))
        await tell(client.read_resource("demo://resource/dynamic/text/1"))
        await tell(client.read_resource("demo://no/such/thing"))
        for prompt in (await tell(client.list_prompts())).prompts:
            given = {argument.name: "1" for argument in prompt.arguments or []}
            await tell(client.get_prompt(prompt.name, given))
        with pytest.warns(MCPDeprecationWarning, match="ping"):
            await tell(client.send_ping())
    return told


def test_the_typescript_example_is_not_led_astray_by_ids_cancellations_or_later_changes(palisade: Palisade) -> None:
    command = [NODE, str(HERE / "raw_client.mjs"), palisade.grpc, running.CRM_TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=running.START_S, check=True)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["id"] for reply in replies] == [1, 2, 2, 2, 4]
    assert sorted("error" in reply for reply in replies[1:4]) == [False, True, True]
    # The definitions that this server lists are not the reviewed ones: none of them is shown.
    assert [reply["result"]["tools"] for reply in replies if "tools" in reply.get("result", {})] == [[]]
    ran = [json.loads(line.removeprefix("ran ")) for line in done.stderr.splitlines() if line.startswith("ran ")]
    assert ran == [{"customer_id": "early"}, {"customer_id": "sent"}]
