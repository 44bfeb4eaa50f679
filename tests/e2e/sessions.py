"""Clients of both SDKs and both eras that do the steps of a script: each a session of its own.
Never talks to Palisade: what a client may do is between the server, or the gateway before it, and its policy decision point.
"""

import asyncio
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, MCPError, types
from mcp.client.streamable_http import streamable_http_client

import running

NODE = shutil.which("node") or "node"
CLIENT = Path(__file__).resolve().parent / "client.mjs"
# Each SDK's client with and without the handshake of 2025-11-25. Version 1 for TypeScript knows no other era.
CLIENTS = ("python-auto", "python-legacy", "typescript-1", "typescript-2-auto", "typescript-2-legacy")


# How long a client waits to hear something of its server.
HEAR_S = 20.0


class Refused(Exception):
    """What a client was told instead of a result, with the JSON-RPC code if there was one."""

    def __init__(self, words: str, code: int | None) -> None:
        super().__init__(words)
        self.words, self.code = words, code


class PythonSession:
    """The steps of a script, done by the client of the Python SDK."""

    def __init__(self, client: Client, http: httpx2.AsyncClient, heard: "Heard") -> None:
        self._client = client
        self._heard = heard
        # What it sends with; another token, say, from here on.
        self.http = http

    async def do(self, step: str, *given: Any) -> Any:
        try:
            return await getattr(self, step)(*given)
        except MCPError as error:
            raise Refused(error.error.message, error.error.code) from None

    async def era(self) -> str:
        return str(self._client.protocol_version)

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in (await self._client.list_resources()).resources]

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self._client.list_prompts()).prompts]

    async def read(self, uri: str) -> str:
        return (await self._client.read_resource(uri)).contents[0].text

    async def prompt(self, name: str) -> str:
        return (await self._client.get_prompt(name, {"customer": "Ines"})).messages[0].content.text

    async def call(self, name: str, arguments: dict[str, Any]) -> list[Any]:
        result = await self._client.call_tool(name, arguments)
        return [bool(result.is_error), result.content[0].text]

    async def server(self) -> Any:
        """What the server says of itself."""
        info, can = self._client.server_info, self._client.server_capabilities
        return [whole(info), whole(can), self._client.instructions]

    async def send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """A request as the client sends it, and the whole of its result."""
        return whole(await SENT[method](self._client, params or {}))

    async def run(self, params: dict[str, Any], steps: int) -> Any:
        """A call that tells of its progress, with what it told."""
        told: asyncio.Queue[Any] = asyncio.Queue()

        async def progress(done: float, total: float | None, _: str | None) -> None:
            told.put_nowait([done, total])

        result = await self._client.call_tool(params["name"], params["arguments"], progress_callback=progress)
        return [whole(result), [await asyncio.wait_for(told.get(), HEAR_S) for _ in range(steps)]]

    async def hear(self, method: str) -> Any:
        """The next notification of a method."""
        return await asyncio.wait_for(self._heard[method].get(), HEAR_S)

    async def listen(self) -> Any:
        """Opens the newer era's stream of changes, and closes it."""
        async with self._client.listen(tools_list_changed=True, resource_subscriptions=["crm://plans"]) as stream:
            return whole(stream.honored)


Heard = defaultdict[str, "asyncio.Queue[Any]"]
# What the client of the Python SDK calls each request.
SENT: dict[str, Callable[[Client, dict[str, Any]], Awaitable[Any]]] = {
    "tools/list": lambda client, _: client.list_tools(),
    "tools/call": lambda client, params: client.call_tool(params["name"], params["arguments"]),
    "resources/list": lambda client, _: client.list_resources(),
    "resources/templates/list": lambda client, _: client.list_resource_templates(),
    "resources/read": lambda client, params: client.read_resource(params["uri"]),
    "resources/subscribe": lambda client, params: client.subscribe_resource(params["uri"]),
    "resources/unsubscribe": lambda client, params: client.unsubscribe_resource(params["uri"]),
    "prompts/list": lambda client, _: client.list_prompts(),
    "prompts/get": lambda client, params: client.get_prompt(params["name"], params.get("arguments")),
    "completion/complete": lambda client, params: client.complete(
        types.PromptReference(name=params["ref"]["name"])
        if params["ref"]["type"] == "ref/prompt"
        else types.ResourceTemplateReference(uri=params["ref"]["uri"]),
        params["argument"],
        params.get("context", {}).get("arguments"),
    ),
    "logging/setLevel": lambda client, params: client.set_logging_level(params["level"]),
    "ping": lambda client, _: client.send_ping(),
}


def whole(result: Any) -> Any:
    """All of a result as JSON."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True) if result is not None else None


async def sample(*_: Any) -> types.CreateMessageResult:
    return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="yes"), model="none")


async def decline(*_: Any) -> types.ElicitResult:
    return types.ElicitResult(action="decline")


async def no_roots(*_: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[])


class NodeSession:
    """The same steps, done by a client of the TypeScript SDK in a process of its own."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    async def do(self, *step: Any) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(step) + "\n")
        self._child.stdin.flush()
        answer = json.loads(await asyncio.to_thread(self._child.stdout.readline))
        if "failed" in answer:
            raise Refused(answer["failed"], answer.get("code"))
        return answer["did"]


@asynccontextmanager
async def session(kind: str, url: str, headers: dict[str, str]) -> Any:
    """A client of `kind` that is connected to `url` and says with `headers` who asks."""
    sdk, *how = kind.split("-")
    if sdk == "python":
        heard: Heard = defaultdict(asyncio.Queue)

        async def hear(message: Any) -> None:
            heard[getattr(message, "method", "")].put_nowait(whole(getattr(message, "params", None)))

        async with (
            httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30)) as http,
            Client(
                streamable_http_client(url, http_client=http),
                mode=how[0],
                message_handler=hear,
                sampling_callback=sample,
                elicitation_callback=decline,
                list_roots_callback=no_roots,
            ) as client,
        ):
            yield PythonSession(client, http, heard)
        return
    mode = how[1] if len(how) > 1 else "legacy"
    command = [NODE, str(CLIENT), url, how[0], mode, json.dumps(headers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "connected\n", f"{kind} did not connect to {url}"
        try:
            yield NodeSession(child)
        finally:
            child.stdin.close()
            child.wait(running.STOP_S)
