"""A policy enforcement point for an MCP server written with the Python SDK: asks Palisade before each tool call.
Never lets a call run without a permit: no answer, an error and a deny all mean that the tool does not run.
"""

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel

log = logging.getLogger("pep")

NO_ANSWER = "no authorization decision could be made, so nothing was done"
ASK_TIMEOUT_S = 5
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")

Definition = Callable[[str], Awaitable[dict[str, Any] | None]]


class Pep:
    """Middleware for `MCPServer.middleware`. It guards every tool of the server, so none can be forgotten."""

    def __init__(
        self,
        server: str,
        address: str,
        *,
        definition: Definition,
        token_file: Path | None = None,
        returns: Mapping[str, list[str]] | None = None,
    ) -> None:
        """`server` is the id in Palisade's catalog; `definition` gives a tool as `tools/list` does; `returns` names the
        data classes that a tool's results hold. Outcomes are reported when there is a token to report them with."""
        self._server = server
        self._address = address
        self._definition = definition
        self._token_file = token_file
        self._returns = returns or {}
        self._channel: grpc.aio.Channel | None = None

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        # Read per call: the token file appears when Palisade first starts.
        metadata = self._metadata(ctx)
        try:
            answer = await self._ask(ctx, metadata)
        except grpc.aio.AioRpcError as error:
            log.error("no answer from Palisade: %s: %s", error.code().name, error.details())
            return _refusal(NO_ANSWER)
        from stubs import pb

        if answer.decision != pb.DECISION_PERMIT:
            log.info("denied %s: %s (%s)", answer.decision_id, answer.reason_text, pb.DenyReason.Name(answer.reason))
            return _refusal(answer.reason_text, answer.decision_id)
        return await self._run(ctx, call_next, answer.decision_id, metadata)

    async def _ask(self, ctx: ServerRequestContext[Any, Any], metadata: list[tuple[str, str]]) -> Any:
        from stubs import pb

        params = dict(ctx.params or {})
        definition = await self._definition(str(params.get("name")))
        headers = _headers(ctx)
        request = pb.AuthorizeRequest(
            request_id=str(ctx.request_id),
            subject=_subject(headers),
            session=headers.get("mcp-session-id", ""),
            mcp=pb.McpMessage(
                server=self._server,
                method=ctx.method,
                # The handler gets the same values: the SDK has parsed the message, and Python keeps integers whole.
                params=json.dumps(params).encode(),
                protocol_version=ctx.protocol_version,
                headers={name: value for name, value in headers.items() if name.startswith("mcp-")},
                tool_definition=json.dumps(definition).encode() if definition else b"",
            ),
        )
        return await self._stub().Authorize(request, timeout=ASK_TIMEOUT_S, metadata=metadata)

    async def _run(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext, decision: str, metadata: list[tuple[str, str]]
    ) -> HandlerResult:
        from stubs import pb

        try:
            result = await call_next(ctx)
        except BaseException as error:
            # The class only: an outcome never holds content.
            await self._report(decision, pb.OUTCOME_STATUS_FAILED, metadata, error=type(error).__name__)
            raise
        size = _size(result)
        if _is_error(result):
            await self._report(decision, pb.OUTCOME_STATUS_FAILED, metadata, error="tool_error", size=size)
        else:
            classes = self._returns.get(str((ctx.params or {}).get("name")), [])
            await self._report(decision, pb.OUTCOME_STATUS_SUCCEEDED, metadata, size=size, classes=classes)
        return result

    async def _report(
        self,
        decision: str,
        status: int,
        metadata: list[tuple[str, str]],
        *,
        error: str = "",
        size: int = 0,
        classes: list[str] | None = None,
    ) -> None:
        from stubs import pb

        if self._token_file is None:
            return
        report = pb.ReportOutcomeRequest(
            decision_id=decision, status=status, error=error, result_bytes=size, data_classes=classes or []
        )
        try:
            await self._stub().ReportOutcome(report, timeout=ASK_TIMEOUT_S, metadata=metadata)
        except grpc.aio.AioRpcError as failure:
            # The call has happened. All that is left is to say that its end is not on record.
            log.error("the outcome of %s is not on record: %s: %s", decision, failure.code().name, failure.details())

    def _stub(self) -> Any:
        from stubs import rpc

        if self._channel is None:
            # Else gRPC would send a unix socket's path as the HTTP/2 authority, which is none: the call would be reset.
            unix = self._address.startswith("unix:")
            options = [("grpc.default_authority", "localhost")] if unix else []
            self._channel = grpc.aio.insecure_channel(self._address, options=options)
        return rpc.AuthorizationStub(self._channel)

    def _metadata(self, ctx: ServerRequestContext[Any, Any]) -> list[tuple[str, str]]:
        metadata = [("traceparent", _traceparent(ctx))]
        if self._token_file is not None:
            token = self._token_file.read_text(encoding="utf-8").strip()
            metadata.append(("authorization", f"Bearer {token}"))
        return metadata


def _headers(ctx: ServerRequestContext[Any, Any]) -> dict[str, str]:
    """The HTTP headers of the message, names in lower case; none on stdio."""
    return {name.lower(): value for name, value in getattr(ctx.request, "headers", {}).items()}


def _subject(headers: Mapping[str, str]) -> Any:
    """Who asks for whom. FOR THE DEMONSTRATION ONLY: anybody can send these headers. A real server takes both from an
    access token that it has verified."""
    from stubs import pb

    user, agent = headers.get("x-demo-user"), headers.get("x-demo-agent")
    human = pb.EntityUid(type="Human", id=user) if user else None
    actor = pb.EntityUid(type="Agent", id=agent) if agent else None
    if human is None:
        return pb.Subject(principal=actor) if actor else None
    return pb.Subject(principal=human, actor=actor)


def _traceparent(ctx: ServerRequestContext[Any, Any]) -> str:
    """The W3C trace context of the call with a span of our own; a new trace if the client sent none."""
    sent = (ctx.meta or {}).get("traceparent") or _headers(ctx).get("traceparent") or ""
    match = TRACEPARENT.fullmatch(str(sent))
    trace, flags = match.groups() if match else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def _refusal(reason: str, decision: str = "") -> CallToolResult:
    meta = {"dev.palisade/decision-id": decision} if decision else None
    return CallToolResult(content=[TextContent(type="text", text=reason)], is_error=True, _meta=meta)


def _size(result: HandlerResult) -> int:
    if isinstance(result, BaseModel):
        return len(result.model_dump_json(by_alias=True, exclude_none=True).encode())
    return len(json.dumps(result).encode())


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, CallToolResult):
        return bool(result.is_error)
    return isinstance(result, dict) and result.get("isError") is True
