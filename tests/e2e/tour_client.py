#!/usr/bin/env python3
"""Calls one tool of the sample server through a real MCP client over streamable HTTP, and prints what came back.
Never talks to Palisade: what a client may do is between the server and its policy decision point.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

URL = "http://127.0.0.1:8100/mcp"


async def call_tool(
    url: str,
    tool: str,
    arguments: dict[str, Any],
    *,
    user: str | None = None,
    agent: str | None = None,
    mode: str = "auto",
    headers: dict[str, str] | None = None,
) -> CallToolResult:
    """One call in a session of its own. `user` and `agent` are the demonstration's idea of identity: plain headers."""
    sent = dict(headers or {})
    if user:
        sent["x-demo-user"] = user
    if agent:
        sent["x-demo-agent"] = agent
    async with (
        httpx2.AsyncClient(headers=sent, timeout=httpx2.Timeout(30)) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        return await client.call_tool(tool, arguments)


def text_of(result: CallToolResult) -> str:
    """The words of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _argument(word: str) -> tuple[str, Any]:
    name, separator, value = word.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"`{word}` is not name=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main() -> int:
    parser = argparse.ArgumentParser(description="Call a tool of the sample MCP server. Exit code 1: refused.")
    parser.add_argument("--url", default=URL, help="the server (default: %(default)s)")
    parser.add_argument("--user", help="the person the call is made for: ana, bo, …")
    parser.add_argument("--agent", help="the agent that makes it: support-bot, coder, …")
    parser.add_argument("tool", help="issue_refund, lookup_customer, delete_customer, send_email, export_customers")
    parser.add_argument("arguments", nargs="*", type=_argument, help="name=value; the value is JSON or a word")
    parsed = parser.parse_args()
    call = call_tool(parsed.url, parsed.tool, dict(parsed.arguments), user=parsed.user, agent=parsed.agent)
    result = asyncio.run(call)
    print("refused:" if result.is_error else "done:", text_of(result))
    return 1 if result.is_error else 0


if __name__ == "__main__":
    sys.exit(main())
