#!/usr/bin/env python3
"""The sample customer system of tests/e2e behind the enforcement point of examples/python.
Never decides for itself who may do what; without --palisade nothing is decided at all, for comparison.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import crm_server
import grpc
import stubs  # noqa: F401  puts the generated stubs on the path, before the example imports them
from palisade_mcp import Palisade, bearer, pb


def demo(headers: Any) -> dict[str, Any]:
    """Who the demonstration's plain headers name. A real server leaves this to the access token."""
    user, agent = headers.get("x-demo-user"), headers.get("x-demo-agent")
    if not user or not agent:
        return {}
    human, actor = pb.EntityUid(type="Human", id=user), pb.EntityUid(type="Agent", id=agent)
    return {"subject": pb.Subject(principal=human, actor=actor)}


def main() -> None:
    parser = argparse.ArgumentParser(description="A sample MCP server that is guarded by the example for Python.")
    parser.add_argument("--palisade", help="gRPC address of Palisade")
    parser.add_argument("--token", default="", help="the token to show to Palisade")
    parser.add_argument("--journal", type=Path, required=True, help="a file to write what the tools did to")
    parser.add_argument("--bearer", action="store_true", help="let the access token say who asks, as is the default")
    parser.add_argument("--timeout", type=float, default=1.0, help="how many seconds to wait for Palisade")
    parser.add_argument("--notify", action="store_true", help="fulfil obligations of the type notification")
    arguments = parser.parse_args()
    crm_server.journal = arguments.journal

    async def notify(properties: dict[str, Any]) -> None:
        if properties["to"] == "nobody":
            raise ValueError("nobody cannot be notified")
        crm_server.did("notify", **properties)

    @crm_server.crm.resource("crm://plans")
    def plans() -> str:
        """The plans that customers can have."""
        return "solo, team"

    @crm_server.crm.prompt()
    def apology(customer: str) -> str:
        """Words for a customer."""
        return f"Write an apology to {customer}."

    if arguments.palisade:
        obligations = {"notification": notify} if arguments.notify else {}
        palisade = Palisade(
            "crm",
            lambda: grpc.aio.insecure_channel(arguments.palisade),
            token=arguments.token,
            identify=bearer if arguments.bearer else demo,
            obligations=obligations,
            timeout_s=arguments.timeout,
        )
        palisade.guard(crm_server.crm)
    asyncio.run(crm_server.serve_http(0))


if __name__ == "__main__":
    main()
