"""Makes an MCP server written with the Python SDK an enforcement point of Palisade: asks before each request, filters lists.
Never lets a request run without a permit: a deny, an error, an obligation it cannot fulfil and no answer all stop it.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import grpc
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult, TextContent
from palisade.v1 import authorization_pb2 as pb
from palisade.v1 import authorization_pb2_grpc as rpc
from palisade.v1 import search_pb2, search_pb2_grpc
from pydantic import BaseModel

log = logging.getLogger("palisade")
NO_ANSWER = "no authorization decision could be made, so nothing was done"
UNFULFILLED = "something that has to be done together with this step could not be done"
DENIED, FAILED, BATCH = -32001, -32603, 256  # two codes of JSON-RPC, and how much Palisade is asked at once
# A list: the member that holds its items, and how the use of one is asked about.
LISTS = {"resources/list": ("resources", "resources/read", "uri"), "prompts/list": ("prompts", "prompts/get", "name")}

Context = ServerRequestContext[Any, Any]


def bearer(headers: Mapping[str, str]) -> dict[str, Any]:
    """Who asks: whoever the request's access token says. Palisade verifies the token itself."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return {"credentials": pb.Credentials(subject_token=token)} if scheme.lower() == "bearer" else {}


class Palisade:
    """Middleware for an MCPServer. `server` is its id in Palisade's catalog, `connect` opens a channel to Palisade, `token`
    proves to it who asks. `identify` makes `subject` or `credentials` of the HTTP headers, names in lower case; stdio has
    none. `obligations` says how each type in it is fulfilled: a function that raises has not fulfilled it."""

    def __init__(
        self, server: str, connect: Callable[[], grpc.aio.Channel], *, token: str = "", timeout_s: float = 1.0,
        identify: Callable[[Mapping[str, str]], dict[str, Any]] = bearer,
        obligations: Mapping[str, Callable[[dict[str, Any]], Awaitable[None]]] | None = None,
    ) -> None:  # fmt: skip
        self._server, self._connect, self._identify, self._timeout_s = server, connect, identify, timeout_s
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._obligations, self._channel = dict(obligations or {}), None

    def guard(self, mcp: MCPServer) -> MCPServer:
        """Puts itself before every handler of `mcp`, those of tools that are added later included."""
        self._mcp = mcp
        mcp.middleware.append(self)
        return mcp

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method == "ping":  # a notification asks for nothing
            return await call_next(ctx)
        try:
            headers = {name.lower(): value for name, value in getattr(ctx.request, "headers", {}).items()}
            who = {"session": headers.get("mcp-session-id", ""), **self._identify(headers)}
            message = await self._message(ctx, {name: headers[name] for name in headers if name.startswith("mcp-")})
            request = pb.AuthorizeRequest(mcp=message, supported_obligations=self._obligations, **who)
            answer = await self._call(rpc.AuthorizationStub, "Authorize", request)
            params = json.loads(message.params)  # what was decided on, whatever becomes of the message meanwhile
            if isinstance(params.get("uri"), str):  # one name for one resource
                params["uri"] = answer.resource.id.removeprefix(f"{self._server}/")
        except Exception as error:
            log.error("no answer: %r", error)
            return _refusal(ctx, NO_ANSWER, None)
        fulfilled = [await self._fulfil(duty) for duty in answer.obligations]  # all of them, whatever was decided
        if answer.decision != pb.DECISION_PERMIT:
            return _refusal(ctx, answer.reason_text, answer)
        status, size = pb.OUTCOME_STATUS_NOT_EXECUTED, 0
        try:
            if not all(fulfilled):
                return _refusal(ctx, UNFULFILLED, answer)
            status = pb.OUTCOME_STATUS_FAILED
            result = await call_next(replace(ctx, params=params))
            if isinstance(result, BaseModel):
                result = result.model_dump(mode="json", by_alias=True, exclude_none=True)
            size = len(json.dumps(result := await self._shown(ctx.method, message, who, dict(result or {}))))
            status = pb.OUTCOME_STATUS_FAILED if result.get("isError") else pb.OUTCOME_STATUS_SUCCEEDED
            return result
        finally:
            with anyio.CancelScope(shield=True):
                await self._report(answer.decision_id, status, size)

    async def _message(self, ctx: Context, headers: dict[str, str]) -> pb.McpMessage:
        sent, live = dict(ctx.params or {}), None  # the tool as this server lists it now, held against the reviewed one
        for tool in await self._mcp.list_tools() if ctx.method == "tools/call" else []:
            live = tool.model_dump_json(by_alias=True, exclude_none=True).encode() if tool.name == sent.get("name") else live
        said = {"params": json.dumps(sent, allow_nan=False).encode(), "tool_definition": live, "headers": headers}
        return pb.McpMessage(server=self._server, method=ctx.method, protocol_version=ctx.protocol_version, **said)

    async def _shown(self, asked: str, sent: pb.McpMessage, who: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """The result without the items of a list that its reader may not use, and for no shared cache."""
        if "cacheScope" in result:
            result["cacheScope"] = "private"
        if asked == "tools/list":
            parties, listed = search_pb2.Parties(**who), json.dumps(result).encode()
            request = search_pb2.ListToolsRequest(parties=parties, server=self._server, tools_list=listed)
            names = (await self._call(search_pb2_grpc.SearchStub, "ListTools", request)).names
            result["tools"] = [tool for tool in result["tools"] if tool["name"] in names]
        elif asked in LISTS:
            member, method, key = LISTS[asked]
            of = {"server": self._server, "method": method, "protocol_version": sent.protocol_version}
            how, shown = {"mode": pb.MODE_PREVIEW, "supported_obligations": self._obligations, **who}, []
            for at in range(0, len(result[member]), BATCH):
                items = result[member][at : at + BATCH]
                uses = [pb.McpMessage(params=json.dumps({key: item[key]}).encode(), **of) for item in items]
                batch = pb.AuthorizeBatchRequest(requests=[pb.AuthorizeRequest(mcp=use, **how) for use in uses])
                answers = (await self._call(rpc.AuthorizationStub, "AuthorizeBatch", batch)).responses
                shown += [item for item, one in zip(items, answers, strict=True) if one.decision == pb.DECISION_PERMIT]
            result[member] = shown
        return result

    async def _fulfil(self, duty: pb.Obligation) -> bool:
        try:
            await self._obligations[duty.type](json.loads(duty.properties or "{}"))
            return True
        except Exception as error:
            log.error("obligation %s was not fulfilled: %r", duty.id, error)
        return False

    async def _report(self, decision: str, status: int, size: int) -> None:
        try:
            report = pb.ReportOutcomeRequest(decision_id=decision, status=status, result_bytes=size)
            await self._call(rpc.AuthorizationStub, "ReportOutcome", report)
        except MCPError:  # what happened has happened: only its end is not on record
            log.error("the outcome of %s is not on record", decision)

    async def _call(self, stub: Any, method: str, message: Any) -> Any:
        self._channel = self._channel or self._connect()  # not before the event loop runs that it belongs to
        try:
            return await getattr(stub(self._channel), method)(message, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            log.error("%s: %s: %s", method, error.code().name, error.details())
            raise MCPError(FAILED, NO_ANSWER) from None


def _refusal(ctx: Context, reason: str, answer: pb.AuthorizeResponse | None) -> CallToolResult:
    said = {"dev.palisade/decision-id": answer.decision_id} if answer else None
    if ctx.method == "tools/call":
        return CallToolResult(content=[TextContent(type="text", text=reason)], is_error=True, _meta=said)
    raise MCPError(DENIED if answer else FAILED, reason, said)
