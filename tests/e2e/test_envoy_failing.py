"""Palisade slow, stopped, killed and started again, and Envoy killed: without an answer nothing goes through, and then it does
again, in the sessions that clients had."""

import asyncio
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import gateways
import running
from gateways import ANSWER_S, Gateway, gateway
from sessions import CLIENTS, Refused, session

LOOKUP = ("call", "lookup_customer", {"customer_id": "c-1"})
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup_customer","arguments":{"customer_id":"c-1"}}}'
# How long Envoy waits for an answer, as the page says; the rest is for a slow machine.
TIMEOUT_S, SLOW_MACHINE_S = 1.0, 4.0
# What a client sends over HTTP, beside its messages.
WAYS = ("POST", "GET", "DELETE")


def test_a_slow_palisade_is_not_waited_for_and_a_quick_one_is_heard_again(tmp_path: Path) -> None:
    async def steps(envoy: Gateway) -> None:
        async with AsyncExitStack() as stack:
            sessions = await opened(envoy, stack)
            envoy.palisade.process.signal(signal.SIGSTOP)
            try:
                start = time.monotonic()
                await nothing_goes_through(envoy)
                assert time.monotonic() - start < TIMEOUT_S + SLOW_MACHINE_S
                await asyncio.gather(*(refused(each) for each in sessions))
            finally:
                envoy.palisade.process.signal(signal.SIGCONT)
            await all_run(envoy, sessions)

    with gateway(tmp_path, waits=f"{TIMEOUT_S}s") as envoy:
        asyncio.run(steps(envoy))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_without_palisade_nothing_goes_through_until_there_is_one_again(end: str, tmp_path: Path) -> None:
    async def steps(envoy: Gateway, socket: Path) -> None:
        async with AsyncExitStack() as stack:
            sessions = await opened(envoy, stack)
            getattr(envoy.palisade.process, end)()
            await nothing_goes_through(envoy)
            await asyncio.gather(*(refused(each) for each in sessions))
            # What it was killed with is left behind, its socket too.
            with running.palisade(tmp_path, f"unix:{socket}", configured=envoy.configured) as again:
                before = len(again.audit())
                await all_run(envoy, sessions)
                assert len([line for line in again.audit()[before:] if line["type"] == "decided"]) >= len(sessions)
                await stack.aclose()

    # Not `tmp_path`, which may be longer than a socket's path can be.
    with tempfile.TemporaryDirectory() as run:
        socket = Path(run) / "grpc.sock"
        with gateway(tmp_path, socket=socket) as envoy:
            asyncio.run(steps(envoy, socket))


def test_without_envoy_there_is_no_way_to_the_tool_until_there_is_one_again(tmp_path: Path) -> None:
    # A client of the Python SDK ends with its connection, so those begin a session for each call.
    lasting = [client for client in CLIENTS if client.startswith("typescript")]

    async def steps(envoy: Gateway) -> None:
        async with AsyncExitStack() as stack:
            sessions = await opened(envoy, stack, lasting)
            envoy.envoy.process.kill()
            await asyncio.gather(*(refused(each) for each in sessions))

    with gateway(tmp_path) as envoy:
        asyncio.run(steps(envoy))
        ran = envoy.did()
        for mode in ("auto", "legacy"):
            assert envoy.refused("lookup_customer", customer_id="c-1", mode=mode)
        with pytest.raises(urllib.error.URLError):
            envoy.post(CALL)
        assert envoy.did() == ran
        with gateways.envoy(tmp_path, envoy.bootstrap) as again:
            envoy.envoy = again
            assert not envoy.ask("lookup_customer", customer_id="c-1").is_error
            assert envoy.refused("issue_refund", order="o-1", amount=300)
        assert envoy.did() == [*ran, "lookup_customer"]


async def opened(envoy: Gateway, stack: AsyncExitStack, clients: Iterable[str] = CLIENTS) -> list[Any]:
    """A session of each client, in which a tool has run."""
    made = [session(client, envoy.envoy.url, envoy.bearer()) for client in clients]
    sessions = [await stack.enter_async_context(client) for client in made]
    await all_run(envoy, sessions)
    return sessions


async def all_run(envoy: Gateway, sessions: list[Any]) -> None:
    ran = len(envoy.did())
    for each in sessions:
        assert (await each.do(*LOOKUP))[0] is False
    assert envoy.did()[ran:] == ["lookup_customer"] * len(sessions)


async def refused(client: Any) -> None:
    with pytest.raises(Refused):
        await client.do(*LOOKUP)


async def nothing_goes_through(envoy: Gateway) -> None:
    """Envoy says so itself, whatever is sent, and the server hears nothing of it."""
    ran, passed = envoy.did(), envoy.envoy.passed()
    told = await asyncio.gather(*(asyncio.to_thread(status, envoy, way) for way in WAYS))
    assert told == [503] * len(WAYS)
    assert (envoy.did(), envoy.envoy.passed()) == (ran, passed)


def status(envoy: Gateway, way: str) -> int:
    """What a request of the older era is answered."""
    headers = envoy.bearer() | {"mcp-protocol-version": "2025-11-25", "mcp-session-id": "s-1"}
    headers |= {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    body = CALL if way == "POST" else None
    request = urllib.request.Request(envoy.envoy.url, data=body, headers=headers, method=way)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
