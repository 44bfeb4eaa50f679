"""Whole sessions with real servers, once without and once with the real Envoy and a Palisade that permits everything: nobody is
told anything else."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateways import Gateway, gateway
from malformed import RawSession, message
from sessions import CLIENTS, Refused, session

# What no two sessions share.
VARIES = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{1,2}:\d{2}:\d{2} [AP]M|\d{4}-\d{2}-\d{2}T[0-9:.]+Z"
)
TEXT = "demo://resource/dynamic/text/1"
ODD = 'o-"1"\\u0041\u2028é😀'
# What the tools of the reference server are called with; some it offers to some clients alone, by what they can do.
EVERYTHING: dict[str, dict[str, Any]] = {
    "echo": {"message": ODD},
    "get-annotated-message": {"messageType": "error", "includeImage": True},
    "get-env": {},
    "get-resource-links": {"count": 3},
    "get-resource-reference": {"resourceType": "Text", "resourceId": 1},
    "get-roots-list": {},
    "get-structured-content": {"location": "Chicago"},
    "get-sum": {"a": 1, "b": 2.5},
    "get-tiny-image": {},
    "gzip-file-as-resource": {"name": "x.gz", "data": "data:text/plain,x", "outputType": "resource"},
    # It runs as a task of the older era alone, which none of these clients begins; the refusal is the same.
    "simulate-research-query": {"topic": "x"},
    "toggle-simulated-logging": {},
    "toggle-subscriber-updates": {},
    "trigger-elicitation-request": {},
    "trigger-long-running-operation": {"duration": 0.2, "steps": 2},
    "trigger-sampling-request": {"prompt": "yes?", "maxTokens": 5},
    "trigger-url-elicitation": {"url": "https://example.org/", "elicitationId": "e-1"},
}
CRM: dict[str, dict[str, Any]] = {
    "lookup_customer": {"customer_id": "c-1"},
    "issue_refund": {"order": ODD, "amount": 5000},
    "delete_customer": {"customer_id": "c-2"},
    "send_email": {"to": "ines@customer.example", "subject": "hello", "body": ""},
    "export_customers": {},
}
# How many steps a session has at the least, and how many of them the server itself refuses.
STEPS_MIN = {"crm": 13, "everything": 40}
REFUSED_MAX = 3


@pytest.fixture(scope="module", params=["crm", "everything"])
def permissive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp(request.param), request.param, permissive=True) as envoy:
        yield envoy


@pytest.mark.parametrize("client", CLIENTS)
def test_a_policy_that_permits_everything_changes_no_result_of_a_session(permissive: Gateway, client: str) -> None:
    async def steps(url: str, headers: dict[str, str]) -> list[Any]:
        async with session(client, url, headers) as acting:
            transcript = Transcript(acting)
            await (everything(transcript) if permissive.name == "everything" else crm(transcript))
        return transcript.told

    ran = permissive.did()
    bare = asyncio.run(steps(permissive.server.url, {}))
    did = permissive.did()[len(ran) :]
    recorded = len(permissive.palisade.audit())
    guarded = asyncio.run(steps(permissive.envoy.url, permissive.bearer()))
    for without, with_it in zip(bare, guarded, strict=True):
        assert without == with_it
    refused = [step for step, *said in bare if len(said) > 1]
    print(client, "does", len(bare), "steps, and is refused", *refused)
    assert len(bare) >= STEPS_MIN[permissive.name]
    assert len(refused) <= REFUSED_MAX
    assert permissive.did()[len(ran) + len(did) :] == did
    assert {record["outcome"] for record in permissive.palisade.audit()[recorded:] if record["type"] == "decided"} == {"permit"}


class Transcript:
    """What a client was told, step by step."""

    def __init__(self, acting: Any) -> None:
        self._acting = acting
        self.told: list[Any] = []

    async def do(self, *step: Any) -> Any:
        try:
            result = await self._acting.do(*step)
        except Refused as refusal:
            self.told.append((step, refusal.code, VARIES.sub("…", refusal.words)))
            return None
        self.told.append((step, VARIES.sub("…", json.dumps(result, sort_keys=True))))
        return result

    async def hear(self, method: str) -> None:
        """That it was told of something; what it was told is up to the hour, and to chance."""
        await self._acting.do("hear", method)
        self.told.append((("hear", method), ""))


async def begin(transcript: Transcript) -> list[str]:
    """How every session begins; the names of the tools."""
    await transcript.do("era")
    await transcript.do("server")
    tools = await transcript.do("send", "tools/list")
    return [tool["name"] for tool in tools["tools"]]


async def everything(transcript: Transcript) -> None:
    names = await begin(transcript)
    assert len(names) >= len(EVERYTHING) - 1
    for name in names:
        if not name.startswith(("toggle", "trigger-long")):
            await transcript.do("send", "tools/call", {"name": name, "arguments": EVERYTHING[name]})
    slow = {"name": "trigger-long-running-operation", "arguments": EVERYTHING["trigger-long-running-operation"]}
    await transcript.do("run", slow, 2)
    # What the server says unasked comes over the stream of the session.
    await transcript.do("send", "logging/setLevel", {"level": "debug"})
    await transcript.do("send", "resources/subscribe", {"uri": TEXT})
    await transcript.hear("notifications/message")
    for tool, tells in [
        ("toggle-subscriber-updates", "notifications/resources/updated"),
        ("toggle-simulated-logging", "notifications/message"),
    ]:
        await transcript.do("send", "tools/call", {"name": tool, "arguments": {}})
        await transcript.hear(tells)
        await transcript.do("send", "tools/call", {"name": tool, "arguments": {}})
    await transcript.do("send", "resources/unsubscribe", {"uri": TEXT})
    for uri in [each["uri"] for each in (await transcript.do("send", "resources/list"))["resources"]]:
        await transcript.do("send", "resources/read", {"uri": uri})
    await transcript.do("send", "resources/templates/list")
    for uri in (TEXT, "demo://no/such/thing"):
        await transcript.do("send", "resources/read", {"uri": uri})
    for prompt in (await transcript.do("send", "prompts/list"))["prompts"]:
        asked = [argument["name"] for argument in prompt.get("arguments", [])]
        given = {name: "Text" if name == "resourceType" else "1" for name in asked}
        await transcript.do("send", "prompts/get", {"name": prompt["name"], "arguments": given})
    department = {"type": "ref/prompt", "name": "completable-prompt"}
    await transcript.do("send", "completion/complete", {"ref": department, "argument": {"name": "department", "value": "S"}})
    template = {"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}
    await transcript.do("send", "completion/complete", {"ref": template, "argument": {"name": "resourceId", "value": "1"}})
    await transcript.do("send", "ping")


async def crm(transcript: Transcript) -> None:
    names = await begin(transcript)
    assert set(names) == set(CRM)
    for name, arguments in CRM.items():
        await transcript.do("send", "tools/call", {"name": name, "arguments": arguments})
    for method in ("resources/list", "resources/templates/list", "prompts/list"):
        await transcript.do("send", method)
    await transcript.do("send", "resources/read", {"uri": "crm://plans"})
    await transcript.do("send", "prompts/get", {"name": "apology"})
    # What one of the eras alone has.
    await transcript.do(*(("listen",) if await transcript.do("era") == "2026-07-28" else ("send", "ping")))


def test_a_session_ends_as_it_would_without_the_gateway(permissive: Gateway) -> None:
    def life(url: str, headers: dict[str, str]) -> list[Any]:
        client = RawSession(url, headers)
        named = [*client.headers.items(), ("mcp-protocol-version", "2025-11-25")]
        told = [client.post(message(2, "tools/list"), mcp_protocol_version="2025-11-25")]
        told.append(client.send("DELETE", [each for each in named if each[0] != "content-type"]))
        told.append(client.post(message(3, "tools/list"), mcp_protocol_version="2025-11-25"))
        told.append(client.post(message(4, "tools/list"), mcp_session_id="", mcp_protocol_version="2025-11-25"))
        return [(status, said.get("content-type"), VARIES.sub("…", body.decode())) for status, said, body in told]

    bare, guarded = life(permissive.server.url, {}), life(permissive.envoy.url, permissive.bearer())
    assert bare == guarded
    # It was there, it was ended, and it is gone.
    assert [status for status, *_ in bare][:2] == [200, 200]
    assert bare[2][0] in {400, 404}
