"""The main job, on real input: a real MCP client calls tools of a real MCP server, and Palisade decides every call."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from mcp.types import CallToolResult

from running import Crm, Palisade
from stubs import pb
from tour_client import call_tool, text_of

# Each era of the protocol as the SDK's client speaks it.
ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
REFUNDS = "policies/org/support.cedar"
REFUND_LIMIT = "context.input.amount <= 100 "
# Long enough for a slow machine to fail with a figure and not with a time-out.
CHANGE_S = 10.0
RELOAD_TO_EFFECT_S = 1.0


def ask(crm: Crm, tool: str, /, user: str | None = "ana", agent: str | None = "support-bot", **more: Any) -> CallToolResult:
    mode, headers = more.pop("mode", "auto"), more.pop("headers", None)
    return asyncio.run(call_tool(crm.url, tool, more, user=user, agent=agent, mode=mode, headers=headers))


def refused(result: CallToolResult) -> str:
    """The words of a refusal."""
    assert result.is_error, f"it should have been refused: {text_of(result)}"
    return text_of(result)


def refund(amount: int) -> pb.AuthorizeRequest:
    params = {"name": "issue_refund", "arguments": {"order": "o-1", "amount": amount}}
    return pb.AuthorizeRequest(
        subject=pb.Subject(
            principal=pb.EntityUid(type="Human", id="ana"), actor=pb.EntityUid(type="Agent", id="support-bot")
        ),
        mcp=pb.McpMessage(
            server="crm", method="tools/call", params=json.dumps(params).encode(), protocol_version="2025-11-25"
        ),
    )


def seconds_until(holds: Callable[[], bool]) -> float:
    """How long it takes until `holds`, asking again and again."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < CHANGE_S, f"nothing changed within {CHANGE_S} s"
    return time.monotonic() - start


@pytest.mark.parametrize("mode", ERAS)
def test_an_allowed_tool_runs_and_a_denied_one_does_not(crm: Crm, mode: str) -> None:
    allowed = ask(crm, "issue_refund", order="o-1", amount=30, mode=mode)
    assert not allowed.is_error, text_of(allowed)
    assert text_of(allowed) == "refunded 30 EUR for order o-1"
    assert [line["did"] for line in crm.did()] == ["issue_refund"]

    assert refused(ask(crm, "issue_refund", order="o-1", amount=300, mode=mode))
    assert (
        refused(ask(crm, "delete_customer", customer_id="c-1", mode=mode))
        == "this tool changes things for good: a person must approve the call"
    )
    assert len(crm.did()) == 1, "a denied tool ran"


def test_a_refusal_says_what_is_safe_and_nothing_of_the_policies(crm: Crm) -> None:
    over_the_limit = refused(ask(crm, "issue_refund", order="o-1", amount=300))
    for secret in ("support/refund", "100", "amount", "Team", "policies"):
        assert secret not in over_the_limit
    assert refused(ask(crm, "lookup_customer", user="mallory", customer_id="c-1"))
    assert refused(ask(crm, "lookup_customer", user="bo", agent="coder", customer_id="c-1"))
    assert refused(ask(crm, "lookup_customer", user=None, agent=None, customer_id="c-1"))
    assert refused(ask(crm, "export_customers"))
    assert crm.did() == []


def test_an_agent_cannot_ride_on_a_persons_permit_nor_a_person_on_an_agents(crm: Crm) -> None:
    assert not ask(crm, "lookup_customer", customer_id="c-1").is_error
    # Ana may, the coding agent may not; the support bot may, Bo may not.
    assert refused(ask(crm, "lookup_customer", user="ana", agent="coder", customer_id="c-1"))
    assert refused(ask(crm, "lookup_customer", user="bo", agent="support-bot", customer_id="c-1"))
    assert [line["did"] for line in crm.did()] == ["lookup_customer"]


def test_arguments_that_do_not_fit_the_pinned_schema_do_not_reach_the_tool(crm: Crm) -> None:
    # The SDK alone would have let the first two through: it turns "30" into 30 and ignores what it does not know.
    assert refused(ask(crm, "issue_refund", order="o-1", amount="30"))
    assert refused(ask(crm, "issue_refund", order="o-1", amount=30, to="me"))
    assert refused(ask(crm, "issue_refund", order="o-1", amount=2**63))
    assert refused(ask(crm, "issue_refund", order="o-1"))
    assert refused(ask(crm, "no_such_tool"))
    assert crm.did() == []


def test_without_an_answer_nothing_runs(palisade: Palisade, crm: Crm) -> None:
    palisade.process.stop()
    assert refused(ask(crm, "lookup_customer", customer_id="c-1")) == (
        "no authorization decision could be made, so nothing was done"
    )
    assert crm.did() == []


def test_an_edited_policy_changes_the_next_answer_within_a_second(palisade: Palisade, crm: Crm) -> None:
    before = palisade.authorize(refund(30))
    assert before.decision == pb.DECISION_PERMIT, before
    palisade.replace(REFUNDS, REFUND_LIMIT, "context.input.amount <= 20 ")
    took = seconds_until(lambda: palisade.authorize(refund(30)).decision == pb.DECISION_DENY)
    print(f"from the rename to the first answer under the new policy: {took * 1000:.0f} ms")
    after = palisade.authorize(refund(30))
    assert after.reason == pb.DENY_REASON_NO_PERMIT
    assert after.revision != before.revision
    assert took <= RELOAD_TO_EFFECT_S

    assert refused(ask(crm, "issue_refund", order="o-1", amount=30))
    assert not ask(crm, "issue_refund", order="o-1", amount=20).is_error
    assert [line["amount"] for line in crm.did()] == [20]


def test_a_bad_edit_leaves_the_last_good_policies_in_force_and_is_reported(palisade: Palisade, crm: Crm) -> None:
    before = palisade.authorize(refund(30))
    palisade.replace(REFUNDS, REFUND_LIMIT, "context.input.amuont <= 100 ")
    seconds_until(lambda: failing(palisade) is not None)
    finding = next(found for found in failing(palisade)["findings"] if found["level"] == "error")
    assert finding["file"] == REFUNDS
    assert finding["line"] > 1
    assert "amuont" in finding["message"] + finding.get("help", "")
    assert metric(palisade, "palisade_bundle_failing") == 1

    assert palisade.authorize(refund(30)).revision == before.revision
    assert not ask(crm, "issue_refund", order="o-1", amount=30).is_error
    assert refused(ask(crm, "issue_refund", order="o-1", amount=300))

    palisade.replace(REFUNDS, "context.input.amuont <= 100 ", "context.input.amount <= 200 ")
    seconds_until(lambda: failing(palisade) is None)
    assert metric(palisade, "palisade_bundle_failing") == 0
    assert palisade.authorize(refund(150)).decision == pb.DECISION_PERMIT


def failing(palisade: Palisade) -> dict[str, Any] | None:
    """Why the bundle directory is not in force, as the admin port has it."""
    status, body = palisade.get("/bundle")
    assert status == 200, body
    return json.loads(body)["failing"]


def metric(palisade: Palisade, name: str) -> float:
    """The value of a metric without labels."""
    status, body = palisade.get("/metrics")
    assert status == 200, body
    return next(float(line.split()[1]) for line in body.splitlines() if line.split()[0] == name)


def test_the_admin_port_shows_findings_only_to_the_holder_of_the_token(palisade: Palisade) -> None:
    assert palisade.get("/bundle", token=False)[0] == 401
    assert palisade.get("/livez", token=False)[0] == 200
    assert palisade.get("/readyz", token=False)[0] == 200


def test_the_audit_log_tells_the_story(palisade: Palisade, crm: Crm) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    traced = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    ask(crm, "issue_refund", order="o-secret-1", amount=30, note="the note of Ines", headers=traced)
    ask(crm, "lookup_customer", customer_id="c-404")
    ask(crm, "delete_customer", customer_id="c-secret-2")

    published, *told = palisade.audit()
    assert published["type"] == "published"
    assert published["cause"] == "start"
    kinds = [record["type"] for record in told]
    assert kinds == ["decided", "outcome", "decided", "outcome", "decided"]
    paid, paid_end, looked, looked_end, deleted = told

    assert paid["outcome"] == "permit"
    assert paid["principal"] == {"type": "Human", "id": "ana"}
    assert paid["actor"] == {"type": "Agent", "id": "support-bot"}
    assert (paid["server"], paid["tool"], paid["data_classes"]) == ("crm", "issue_refund", ["payment"])
    assert paid["trace_id"] == trace
    assert paid["revision"] == published["revision"]
    assert {(policy["id"], policy["half"]) for policy in paid["determining"]} == {
        ("support/refund", "principal"),
        ("support/bots", "actor"),
    }
    assert all(policy["controls"] for policy in paid["determining"])

    assert paid_end["decision"] == paid["decision"]
    assert paid_end["status"] == "succeeded"
    assert paid_end["result_bytes"] > 0
    assert looked["outcome"] == "permit"
    assert looked_end["decision"] == looked["decision"]
    assert (looked_end["status"], looked_end["error"]) == ("failed", "tool_error")

    assert (deleted["outcome"], deleted["reason"]) == ("deny", "Forbidden")
    assert {policy["id"] for policy in deleted["determining"]} == {"guard/destructive"}
    assert len({record["arguments_digest"] for record in (paid, looked, deleted)}) == 3
    log = json.dumps(told)
    for argument in ("o-secret-1", "the note of Ines", "c-404", "c-secret-2", "ines@customer.example"):
        assert argument not in log
