#!/usr/bin/env python3
"""A small customer system as an MCP server, each of whose tools asks Palisade before it runs.
Never holds real data, and never decides for itself who may do what.
"""

import argparse
import asyncio
import json
import logging
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from palisade_pep import Pep

CUSTOMERS = {
    "c-1": {"name": "Ines Duarte", "email": "ines@customer.example", "plan": "team"},
    "c-2": {"name": "Tom Okafor", "email": "tom@customer.example", "plan": "solo"},
}

crm = MCPServer("crm", version="1.0.0", instructions="The customer system of Acme, for demonstrations.")
journal: Path | None = None


def did(tool: str, **what: Any) -> None:
    """Says that a tool ran: on stderr, and in the journal if there is one. Never reached by a denied call."""
    line = json.dumps({"at": time.time(), "did": tool, **what})
    print(line, file=sys.stderr, flush=True)
    if journal is not None:
        with journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@crm.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
def lookup_customer(customer_id: str) -> dict[str, str]:
    """Look up one customer: name, e-mail address and plan."""
    did("lookup_customer", customer_id=customer_id)
    if customer_id not in CUSTOMERS:
        raise ToolError(f"no customer has the id {customer_id}")
    return CUSTOMERS[customer_id]


@crm.tool(annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=False))
def issue_refund(order: str, amount: int, note: str = "") -> str:
    """Pay money back for an order. The amount is in whole euros; the note goes on the customer's statement."""
    did("issue_refund", order=order, amount=amount, note=note)
    return f"refunded {amount} EUR for order {order}"


@crm.tool(annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False))
def delete_customer(customer_id: str) -> str:
    """Delete a customer with all orders and messages. This cannot be undone."""
    did("delete_customer", customer_id=customer_id)
    return f"deleted customer {customer_id}"


@crm.tool(annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=False, open_world_hint=True))
def send_email(to: str, subject: str, body: str) -> str:
    """Send an e-mail to any address in the world, from the support mailbox."""
    did("send_email", to=to, subject=subject, characters=len(body))
    return f"sent to {to}"


@crm.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
def export_customers() -> list[dict[str, str]]:
    """Export all customers with everything that is stored about them."""
    did("export_customers", customers=len(CUSTOMERS))
    return [{"id": key, **customer} for key, customer in CUSTOMERS.items()]


# What the results hold, for the record. `restricted` is more than any one customer's data.
RETURNS = {"lookup_customer": ["customer"], "export_customers": ["restricted"]}


async def definition(name: str) -> dict[str, Any] | None:
    """A tool as `tools/list` shows it."""
    for tool in await crm.list_tools():
        if tool.name == name:
            return tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return None


async def serve_http(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port))
    print(f"crm listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(crm.streamable_http_app(), log_level="warning")
    await uvicorn.Server(config).serve(sockets=[listener])


def main() -> None:
    global journal
    parser = argparse.ArgumentParser(description="A sample MCP server whose tools are guarded by Palisade.")
    parser.add_argument("--port", type=int, default=8100, help="where to serve streamable HTTP; 0 takes a free port")
    parser.add_argument("--stdio", action="store_true", help="serve stdio instead")
    parser.add_argument("--palisade", default="127.0.0.1:8180", help="gRPC address of Palisade (default: %(default)s)")
    parser.add_argument("--token-file", type=Path, help="the token to show to Palisade; without it outcomes are not reported")
    parser.add_argument("--unguarded", action="store_true", help="ask nobody: a gateway before it does")
    parser.add_argument("--journal", type=Path, help="a file to write what the tools did to")
    arguments = parser.parse_args()
    journal = arguments.journal
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("pep").setLevel(logging.INFO)  # says what was denied
    if not arguments.unguarded:
        token_file = arguments.token_file
        crm.middleware.append(Pep("crm", arguments.palisade, definition=definition, token_file=token_file, returns=RETURNS))
    if arguments.stdio:
        crm.run("stdio")
    else:
        asyncio.run(serve_http(arguments.port))


if __name__ == "__main__":
    main()
