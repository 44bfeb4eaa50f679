"""Clients of both SDKs and both eras, the real Envoy, and real servers of both SDKs behind it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gateways import NO_PERMIT, PARTIES, Gateway, gateway
from sessions import CLIENTS, Refused, session

UNCLEARED = "this handles data that you, or the person you act for, are not cleared for"
PERSON_NEEDED = "this tool changes things for good: a person must approve the call"
# What each client may do and what it gets, and what it may not and what it is told.
ALLOWED: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "crm": [
        ("lookup_customer", {"customer_id": "c-1"}, "Ines Duarte"),
        ("issue_refund", {"order": "o-1", "amount": 30}, "refunded 30 EUR for order o-1"),
    ],
    "everything": [
        ("echo", {"message": "é😀"}, "Echo: é😀"),
        ("get-sum", {"a": 1, "b": 2.5}, "The sum of 1 and 2.5 is 3.5."),
    ],
}
DENIED: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "crm": [
        ("issue_refund", {"order": "o-1", "amount": 300}, NO_PERMIT),
        ("delete_customer", {"customer_id": "c-1"}, PERSON_NEEDED),
        ("export_customers", {}, UNCLEARED),
    ],
    "everything": [
        ("get-env", {}, UNCLEARED),
        ("gzip-file-as-resource", {"data": "data:text/plain,x"}, NO_PERMIT),
    ],
}
# What no client is told: the policies, and who would have been permitted.
SECRET = ("support/", "guard/", "engineering/", "permit (", "forbid (", "clearances")
# What the server and the client have in common; server-everything knows the older era alone.
ERA = {"python-legacy": "2025-11-25", "typescript-1": "2025-11-25", "typescript-2-legacy": "2025-11-25"}


@pytest.fixture(scope="module", params=ALLOWED)
def before(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp(request.param), request.param) as envoy:
        yield envoy


@pytest.mark.parametrize("client", CLIENTS)
def test_allowed_tools_run_and_denied_ones_do_not(before: Gateway, client: str) -> None:
    ran, recorded = len(before.did()), len(before.palisade.audit())

    async def steps() -> None:
        async with session(client, before.envoy.url, before.bearer()) as acting:
            newest = "2026-07-28" if before.name == "crm" else "2025-11-25"
            assert await acting.do("era") == ERA.get(client, newest)
            for (tool, arguments, said), denied in zip(ALLOWED[before.name], DENIED[before.name], strict=False):
                failed, text = await acting.do("call", tool, arguments)
                assert not failed
                assert said in text
                await refused(acting, *denied)
            for denied in DENIED[before.name]:
                await refused(acting, *denied)
            assert {tool for tool, *_ in ALLOWED[before.name]} < set(await acting.do("tools"))

    asyncio.run(steps())
    assert before.did()[ran:] == [tool for tool, *_ in ALLOWED[before.name]]
    calls = [record for record in before.palisade.audit()[recorded:] if record.get("method") == "tools/call"]
    assert {(record["face"], record["caller"], record["assurance"]) for record in calls} == {("ext_authz", "envoy", "verified")}
    assert {(record["principal"]["id"], record["actor"]["id"]) for record in calls} == {PARTIES[before.name]}
    outcomes = [record["outcome"] for record in calls]
    assert outcomes == ["permit", "deny"] * 2 + ["deny"] * len(DENIED[before.name])


async def refused(acting: Any, tool: str, arguments: dict[str, Any], words: str) -> None:
    """The client shows the words that are safe to show, and no others of ours."""
    with pytest.raises(Refused) as refusal:
        await acting.do("call", tool, arguments)
    assert words in refusal.value.words
    assert not [secret for secret in SECRET if secret in refusal.value.words]


@pytest.mark.parametrize("client", CLIENTS)
def test_another_persons_client_reaches_no_tool(before: Gateway, client: str) -> None:
    ran = before.did()
    other = {"crm": ("bo", "coder"), "everything": ("ana", "support-bot")}[before.name]

    async def steps() -> None:
        async with session(client, before.envoy.url, before.bearer(*other)) as acting:
            for tool, arguments, _ in ALLOWED[before.name] + DENIED[before.name]:
                with pytest.raises(Refused):
                    await acting.do("call", tool, arguments)

    asyncio.run(steps())
    assert before.did() == ran
