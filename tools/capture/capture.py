#!/usr/bin/env python3
"""Runs real MCP servers and writes down what they list, as the catalog tools/<server>.json.

Never edits what a server said: a definition is stored member for member as it was sent, since its digest is what a
live server is held to. Only the order of the tools is ours (by name; in a list it has no meaning).
"""

import argparse
import asyncio
import difflib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mcp import Client, types
from pydantic import ConfigDict

from servers import COMMANDS, TOOLS, parameters

PAGES_MAX = 100
TIMEOUT_S = 60


class ToolPage(types.Result):
    """One page of a `tools/list` result. The SDK's own type would drop members of a tool that it does not know."""

    model_config = ConfigDict(extra="allow")

    tools: list[dict[str, Any]]
    next_cursor: str | None = None


async def _decline(*_: object) -> types.ErrorData:
    return types.ErrorData(code=types.INVALID_REQUEST, message="the capture answers no requests")


async def _no_roots(*_: object) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[])


async def listed(client: Client) -> list[dict[str, Any]]:
    """Every tool that the server of `client` lists, over all pages, by name."""
    tools: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
        page = await client.session.send_request(request, ToolPage)
        tools.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return sorted(tools, key=lambda tool: tool["name"])
    raise SystemExit(f"the server listed more than {PAGES_MAX} pages")


def connect(server: str, scratch: Path) -> Client:
    """A client of `server` with every capability: some servers offer tools only to clients that can serve them."""
    return Client(
        parameters(server, scratch),
        read_timeout_seconds=TIMEOUT_S,
        sampling_callback=_decline,
        elicitation_callback=_decline,
        list_roots_callback=_no_roots,
    )


async def capture(server: str) -> str:
    """The text of `tools/<server>.json`."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory).resolve()
        async with connect(server, scratch) as client:
            tools = await listed(client)
    text = json.dumps({"tools": tools}, indent=2, ensure_ascii=False) + "\n"
    for private in (str(scratch), str(Path.home()), str(TOOLS.parent)):
        if private in text:
            raise SystemExit(f"`{server}` names a path of this machine: {private}")
    return text


async def run(servers: list[str], check: bool) -> int:
    """Captures each of `servers`; with `check` compares instead of writing. Answers with the exit code."""
    differing = 0
    for server in servers:
        path = TOOLS / f"{server}.json"
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = await capture(server)
        count = len(json.loads(after)["tools"])
        if before == after:
            print(f"{server}: {count} tools, as committed")
            continue
        differing += 1
        if check:
            diff = difflib.unified_diff(before.splitlines(), after.splitlines(), f"{path.name}", "live", lineterm="")
            print(f"{server}: {count} tools, differs", *diff, sep="\n")
        else:
            path.write_text(after, encoding="utf-8")
            print(f"{server}: {count} tools, written")
    return 1 if check and differing else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Capture the tools/list results of real MCP servers into tools/.")
    parser.add_argument("servers", nargs="*", help=f"which ones: {', '.join(COMMANDS)} (default: all)")
    parser.add_argument("--check", action="store_true", help="compare with what is committed; exit 1 if it differs")
    arguments = parser.parse_args()
    unknown = set(arguments.servers) - set(COMMANDS)
    if unknown:
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    return asyncio.run(run(arguments.servers or list(COMMANDS), arguments.check))


if __name__ == "__main__":
    sys.exit(main())
