"""The examples for Python and TypeScript: servers with real clients of both SDKs and both eras, and a real Palisade."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import running
from guarded import CLIENTS, SERVERS, Refused, crm, session
from running import Palisade

NO_PERMIT = "no policy permits this step to the party that the agent acts for"
NO_ANSWER = "no authorization decision could be made, so nothing was done"
DENIED, FAILED = -32001, -32603
# The examples wait one second for an answer; the rest is for a slow machine.
TIMEOUT_S, SLOW_MACHINE_S = 1.0, 4.0
# Ana's bot may call these in some way; only leads may export, and engineering's tools are elsewhere.
CALLABLE = ["delete_customer", "issue_refund", "lookup_customer", "send_email"]


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


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_an_allowed_tool_runs_a_denied_one_does_not_and_lists_show_what_may_be_used(
    server: str, client: str, palisade: Palisade, tmp_path: Path
) -> None:
    async def steps(url: str) -> None:
        async with session(client, url) as ana:
            assert sorted(await ana.do("tools")) == CALLABLE
            assert await ana.do("call", "issue_refund", {"order": "o-1", "amount": 30}) == [
                False,
                "refunded 30 EUR for order o-1",
            ]
            assert await ana.do("call", "issue_refund", {"order": "o-1", "amount": 300}) == [True, NO_PERMIT]
            assert (await ana.do("call", "export_customers", {}))[0] is True
            # The shipped policies let nobody read a resource or a prompt of this server.
            assert await ana.do("resources") == []
            assert await ana.do("prompts") == []
            words, code = await refused(ana.do("read", "crm://plans"))
            assert NO_PERMIT in words
            assert code == DENIED
            words, _ = await refused(ana.do("prompt", "apology"))
            assert NO_PERMIT in words
        async with session(client, url, user="bo", agent="coder") as bo:
            assert await bo.do("tools") == []

    with crm(server, tmp_path, palisade.grpc) as guarded:
        asyncio.run(steps(guarded.url))
        assert [line["did"] for line in guarded.did()] == ["issue_refund"]
