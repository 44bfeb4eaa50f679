"""Tokens of a real OpenID provider, verified and decided on by a real Palisade."""

import hashlib
import hmac
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest

import oidc
import running
from oidc import CRM, LEAD_BOT, SUPPORT_AGENT, SUPPORT_BOT, TICKETS, Provider
from running import Palisade
from stubs import pb

# The PEPs, each by its token: one without further rights, and two that are believed more.
GW, ATTESTER, ASSERTER = "gw", "attester", "asserter"
ROLES = {GW: [], ATTESTER: ["attest"], ASSERTER: ["assert"]}
# What a server is told of a provider by default: people are `sub`, and agents come in `act`, else as the client.
BOTH = {"human": {}, "agent": "client_id"}

PERMIT, DENY = pb.DECISION_PERMIT, pb.DECISION_DENY
UNAUTHENTICATED = pb.DENY_REASON_UNAUTHENTICATED
# After a fetch an unknown key waits so long for the next (keys.rs); and some, for a slow machine.
PAUSE_S = 30
CHANGE_S = PAUSE_S + 15
STORM = 200


def caller_token(caller: str) -> str:
    return f"the-token-of-the-caller-{caller}"


def configured(*issuers: dict[str, Any], **trust: Any) -> str:
    """A configuration. JSON is YAML."""
    digest = lambda caller: hashlib.sha256(caller_token(caller).encode()).hexdigest()  # noqa: E731
    callers = [
        {
            "name": caller,
            "token_sha256": digest(caller),
            "roles": ["authorize", "outcome", *roles],
            "servers": "*",
        }
        for caller, roles in ROLES.items()
    ]
    trust |= {"issuers": list(issuers)}
    return json.dumps({"local_caller": {"enabled": False}, "callers": callers, "trust": trust})


def human(user: str) -> pb.EntityUid:
    return pb.EntityUid(type="Human", id=user)


def agent(name: str) -> pb.EntityUid:
    return pb.EntityUid(type="Agent", id=name)


def party(uid: pb.EntityUid) -> dict[str, str]:
    """As it stands in records."""
    return {"type": uid.type, "id": uid.id}


def reason(answer: pb.AuthorizeResponse) -> str:
    """Why not, in short; "" when permitted."""
    if answer.decision == PERMIT:
        return ""
    assert answer.decision == DENY
    return pb.DenyReason.Name(answer.reason).removeprefix("DENY_REASON_")


@dataclass
class World:
    """A Palisade with the provider that it trusts first."""

    pdp: Palisade
    idp: Provider
    scratch: Path
    # All tokens and proofs that were sent.
    sent: set[str] = field(default_factory=set)

    def ask(
        self,
        token: str = "",
        proof: pb.DpopProof | None = None,
        *,
        actor_token: str = "",
        thumbprint: str = "",
        subject: pb.Subject | None = None,
        session: str = "",
        tool: str = "lookup_customer",
        method: str = "tools/call",
        server: str = "crm",
        caller: str = GW,
    ) -> pb.AuthorizeResponse:
        """Asks about one message, by default a call of the customer system."""
        request = self.request(token, proof, actor_token, thumbprint, subject, session, tool, method, server)
        return self.pdp.authorize(request, caller_token(caller))

    def request(
        self,
        token: str = "",
        proof: pb.DpopProof | None = None,
        actor_token: str = "",
        thumbprint: str = "",
        subject: pb.Subject | None = None,
        session: str = "",
        tool: str = "lookup_customer",
        method: str = "tools/call",
        server: str = "crm",
    ) -> pb.AuthorizeRequest:
        credentials = pb.Credentials(subject_token=token, actor_token=actor_token, dpop=proof)
        if thumbprint:
            credentials.key_thumbprint = thumbprint
        self.sent |= {text for text in (token, actor_token, proof.proof if proof else "") if text}
        arguments = {"customer_id": "c-1"} if tool == "lookup_customer" else {}
        params = {"name": tool, "arguments": arguments} if method == "tools/call" else {}
        return pb.AuthorizeRequest(
            subject=subject,
            session=session,
            mcp=pb.McpMessage(
                server=server, method=method, params=json.dumps(params).encode(), protocol_version="2025-11-25"
            ),
            credentials=credentials if credentials.ByteSize() else None,
        )

    def permitted(self, token: str = "", proof: pb.DpopProof | None = None, **how: Any) -> dict[str, Any]:
        """Asks, expects a permit, and returns its record."""
        answer = self.ask(token, proof, **how)
        assert reason(answer) == "", f"{reason(answer)}: {answer.reason_text}"
        return self.record(answer)

    def denied(self, token: str = "", proof: pb.DpopProof | None = None, **how: Any) -> tuple[str, str]:
        """Asks, expects a deny, and returns its reason and words, which stand in the record too."""
        answer = self.ask(token, proof, **how)
        assert answer.decision == DENY
        record = self.record(answer)
        assert (record["outcome"], record["reason_text"]) == ("deny", answer.reason_text)
        assert record["reason"].upper() == reason(answer).replace("_", "")
        if answer.reason == UNAUTHENTICATED:
            # Nobody was established, so the record names none but whom the request claims.
            assert not {"assurance", "actor_assurance", "token"} & record.keys()
            assert how.get("subject") or not {"principal", "actor"} & record.keys()
        return reason(answer), answer.reason_text

    def record(self, answer: pb.AuthorizeResponse) -> dict[str, Any]:
        (record,) = [record for record in self.pdp.audit() if record.get("decision") == answer.decision_id]
        return record

    def holds(self, *texts: str) -> list[str]:
        """Where any of these texts stands: the files of the server, what it wrote, its metrics."""
        places = {str(file): file.read_bytes() for file in self.scratch.rglob("*") if file.is_file()}
        places["stdout"] = "\n".join(self.pdp.process.printed).encode()
        status, metrics = self.pdp.get("/metrics")
        assert status == 200
        places["metrics"] = metrics.encode()
        return [place for place, held in places.items() if any(text.encode() in held for text in texts)]

    def holds_sent(self) -> list[str]:
        """Where a token or proof that was sent stands, or its claims or its signature."""
        parts = {part for text in self.sent for part in text.split(".")[1:] if part}
        return self.holds(*self.sent, *parts)

    def delegated(self, user: str = "ana", bot: str = SUPPORT_AGENT, key: oidc.Key | None = None) -> str:
        """A user's token, exchanged for one that names the agent."""
        return self.idp.exchange(self.idp.user_token(user), self.idp.client_token(bot), dpop_key=key)


@contextmanager
def world(
    idp: Provider, scratch: Path, *further: dict[str, Any], of_idp: dict[str, Any] = BOTH, **trust: Any
) -> Iterator[World]:
    """A Palisade that logs all it can, and shows at the end that it kept no token."""
    text = configured({"issuer": idp.issuer, **of_idp}, *further, **trust)
    scratch.mkdir(exist_ok=True)
    # But for the watcher of files: it would see its own log grow.
    with running.palisade(scratch, configured=text, environment={"RUST_LOG": "trace,notify=info"}) as pdp:
        here = World(pdp, idp, scratch)
        yield here
        assert here.holds_sent() == []
        assert here.holds(*map(caller_token, ROLES)) == []


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    with oidc.start_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def people() -> Iterator[Provider]:
    """A provider that is trusted to name people, and agents in `act` alone."""
    with oidc.start_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def main(idp: Provider, people: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(idp, tmp_path_factory.mktemp("main"), {"issuer": people.issuer, "human": {}}) as here:
        yield here


def dpop(key: oidc.Key, token: str, /, **claims: Any) -> pb.DpopProof:
    """An honest proof for a call of the customer system, but for `claims`."""
    return pb.DpopProof(proof=oidc.dpop_proof(key, "POST", CRM, token, **claims), method="POST", url=CRM)


def forged(issuer: str, kid: str = "a-key-of-nobody", key: oidc.Key | None = None, **claims: Any) -> str:
    """A token like the provider's, signed with another key."""
    now = int(time.time())
    honest = {"iss": issuer, "sub": "ana", "aud": CRM, "client_id": SUPPORT_AGENT, "iat": now, "exp": now + 300}
    headers = {"typ": "at+jwt", "kid": kid}
    said = honest | {"jti": os.urandom(16).hex()} | claims
    return jwt.encode(said, key or oidc.dpop_key(), algorithm="ES256", headers=headers)


def until(holds: Callable[[], bool], within_s: float = CHANGE_S) -> float:
    """How long it takes until `holds`, asking again and again."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < within_s, f"nothing changed within {within_s} s"
        time.sleep(0.05)
    return time.monotonic() - start


# ── Who is shown ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_delegated_token_says_who_asks(main: World) -> None:
    token = main.delegated()
    answer = main.ask(token)
    assert reason(answer) == "", answer.reason_text
    assert {policy.id for policy in answer.determining} == {"support/crm", "support/bots"}
    record = main.record(answer)
    assert (record["principal"], record["actor"]) == (party(human("ana")), party(agent("support-bot")))
    assert (record["assurance"], record["actor_assurance"]) == ("verified", "verified")
    _, claims = oidc.decode(token)
    assert record["token"] == {
        "issuer": main.idp.issuer, "kind": "access_token", "id": claims["jti"], "binding": "none"
    }  # fmt: skip
    assert (record["caller"], record["server"], record["tool"]) == (GW, "crm", "lookup_customer")
    assert "earlier_actors" not in record

    # What is looked for is found where it is.
    assert any(place.endswith("audit.jsonl") for place in main.holds(claims["jti"]))
    assert any(place.endswith("palisade.err") for place in main.holds("keys came into force"))
    assert "metrics" in main.holds("palisade_decisions_total") and "stdout" in main.holds("ready")
    assert main.holds_sent() == []


def test_the_outcome_joins_the_decision(main: World) -> None:
    answer = main.ask(main.delegated())
    report = pb.ReportOutcomeRequest(decision_id=answer.decision_id, status=pb.OUTCOME_STATUS_SUCCEEDED)
    metadata = [("authorization", f"Bearer {caller_token(GW)}")]
    main.pdp.authorization.ReportOutcome(report, timeout=running.ANSWER_S, metadata=metadata)


def test_another_resource_is_signed_with_rs256(idp: Provider, tmp_path: Path) -> None:
    with world(idp, tmp_path, of_idp={**BOTH, "audience": [TICKETS], "algorithms": ["RS256"]}) as here:
        ana, bot = idp.user_token("ana", TICKETS), idp.client_token(SUPPORT_AGENT, TICKETS)
        here.permitted(idp.exchange(ana, bot, TICKETS))
        # Its audience would do, its algorithm does not.
        why, words = here.denied(here.delegated())
        assert why == "UNAUTHENTICATED"
        assert words == "the subject's token is signed with ES256, which is not an algorithm of that key"


def test_earlier_actors_stand_in_the_token(main: World) -> None:
    idp = main.idp
    ana, support, lead = idp.user_token("ana"), idp.client_token(SUPPORT_AGENT), idp.client_token(LEAD_BOT)
    twice = idp.exchange(idp.exchange(ana, lead), support)
    record = main.permitted(twice)
    assert record["actor"] == party(agent("support-bot"))
    assert record["earlier_actors"] == [party(agent("lead-bot"))]
    thrice = idp.exchange(twice, lead)
    assert main.denied(thrice) == ("FORBIDDEN", "too many agents stand between the person and this step")
    five = idp.exchange(idp.exchange(thrice, support), lead)
    why, words = main.denied(five)
    assert (why, words) == ("UNAUTHENTICATED", "the subject's token names more than 4 actors (`act`)")


def test_a_user_without_an_agent(main: World, people: Provider) -> None:
    ana = people.user_token("ana")
    assert main.denied(ana) == ("ACTOR_MISSING", "the agent that acts must be named")
    record = main.record(main.ask(ana))
    assert (record["principal"], record["assurance"]) == (party(human("ana")), "verified")
    assert not {"actor", "actor_assurance"} & record.keys()
    # Where the client is taken for the agent, the gateway is none.
    assert main.denied(main.idp.user_token("ana")) == (
        "UNAUTHENTICATED",
        "the agent that the subject's token names is not registered: no `Agent` has its SPIFFE ID or client id",
    )


def test_the_agent_shows_a_token_of_its_own(main: World, people: Provider) -> None:
    bot = main.idp.client_token(SUPPORT_AGENT)
    record = main.permitted(people.user_token("ana"), actor_token=bot)
    assert (record["principal"], record["actor"]) == (party(human("ana")), party(agent("support-bot")))
    assert (record["assurance"], record["actor_assurance"]) == ("verified", "verified")
    assert record["token"]["issuer"] == people.issuer

    # The token names an agent already, and another one.
    other = main.idp.client_token(LEAD_BOT)
    assert main.denied(main.delegated(), actor_token=other) == (
        "UNAUTHENTICATED", "the actor of the request is another than that of its credentials"
    )  # fmt: skip
    assert main.denied(people.user_token("ana"), actor_token=main.delegated("lea")) == (
        "UNAUTHENTICATED", "the actor's token is not an agent's"
    )  # fmt: skip
    assert main.denied(actor_token=bot) == (
        "UNAUTHENTICATED", "the request brings no subject's token beside the rest of its credentials"
    )  # fmt: skip


def test_the_agent_shows_a_token_of_the_same_issuer(main: World) -> None:
    # The gateway that the person's token was issued to is nobody's agent: the actor's token says who acts.
    record = main.permitted(main.idp.user_token("ana"), actor_token=main.idp.client_token(SUPPORT_AGENT))
    assert record["actor"] == party(agent("support-bot"))


def test_an_agent_that_works_on_its_own(main: World) -> None:
    token = main.idp.client_token(SUPPORT_AGENT)
    assert main.denied(token)[0] == "NO_PERMIT"
    for record in (main.record(main.ask(token)), main.permitted(token, method="tools/list")):
        assert (record["principal"], record["assurance"]) == (party(agent("support-bot")), "verified")
        assert not {"actor", "actor_assurance"} & record.keys()
        assert record["token"]["binding"] == "none"
    assert main.denied(main.idp.client_token(SUPPORT_BOT)) == (
        "UNAUTHENTICATED",
        "the agent that the subject's token names is not registered: no `Agent` has its SPIFFE ID or client id",
    )


def test_an_unregistered_agent_acts_for_nobody(main: World) -> None:
    assert main.denied(main.delegated(bot=SUPPORT_BOT)) == (
        "UNAUTHENTICATED",
        "the agent that the subject's token names is not registered: no `Agent` has its SPIFFE ID or client id",
    )


# ── What is not believed ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_for_another_resource(main: World) -> None:
    idp = main.idp
    ana, bot = idp.user_token("ana", TICKETS), idp.client_token(SUPPORT_AGENT, TICKETS)
    words = f"the subject's token is for another audience (`aud`); expected `{CRM}`"
    assert main.denied(idp.exchange(ana, bot, TICKETS)) == ("UNAUTHENTICATED", words)


def test_a_server_without_an_audience_takes_no_token(main: World) -> None:
    words = (
        "the subject's token is for another audience (`aud`); "
        "expected an audience of this server, and none is configured"
    )
    assert main.denied(main.delegated(), server="time", method="tools/list") == ("UNAUTHENTICATED", words)


def test_a_provider_that_nobody_trusts(main: World) -> None:
    with oidc.start_provider() as other:
        token = other.exchange(other.user_token("ana"), other.client_token(SUPPORT_AGENT))
    words = "the subject's token is of an issuer that is not trusted here (`iss`)"
    assert main.denied(token) == ("UNAUTHENTICATED", words)


def test_who_may_assert(main: World) -> None:
    said = pb.Subject(principal=human("ana"), actor=agent("support-bot"))
    for caller in (GW, ATTESTER):
        words = f"the caller `{caller}` may not assert principals; give it the role `assert`"
        assert main.denied(subject=said, caller=caller) == ("UNAUTHENTICATED", words)
    record = main.permitted(subject=said, caller=ASSERTER)
    assert (record["assurance"], record["actor_assurance"]) == ("asserted", "asserted")
    assert "token" not in record
    assert main.denied() == ("UNAUTHENTICATED", "the request names no principal")


def test_the_agent_beside_a_token_is_asserted(main: World, people: Provider) -> None:
    ana = people.user_token("ana")
    said = pb.Subject(principal=human("ana"), actor=agent("support-bot"))
    words = f"the caller `{GW}` may not assert principals; give it the role `assert`"
    assert main.denied(ana, subject=said) == ("UNAUTHENTICATED", words)
    record = main.permitted(ana, subject=said, caller=ASSERTER)
    assert (record["assurance"], record["actor_assurance"]) == ("verified", "asserted")


@pytest.mark.parametrize("caller", [GW, ASSERTER])
def test_what_is_said_must_agree_with_the_token(main: World, caller: str) -> None:
    token = main.delegated()

    def told(principal: str, actor: str, *earlier: str) -> tuple[str, str]:
        said = pb.Subject(
            principal=human(principal), actor=agent(actor), earlier_actors=[agent(name) for name in earlier]
        )
        return main.denied(token, subject=said, caller=caller)

    words = "the {} of the request is another than that of its credentials"
    assert told("lea", "support-bot") == ("UNAUTHENTICATED", words.format("principal"))
    assert told("ana", "lead-bot") == ("UNAUTHENTICATED", words.format("actor"))
    idp = main.idp
    token = idp.exchange(token, idp.client_token(LEAD_BOT))
    assert told("ana", "lead-bot", "coder") == ("UNAUTHENTICATED", words.format("list of earlier actors"))
    said = pb.Subject(principal=human("ana"), actor=agent("lead-bot"))
    assert main.permitted(token, subject=said, caller=caller)["assurance"] == "verified"


def test_tokens_that_were_tampered_with(main: World) -> None:
    token = main.delegated()
    header, claims, signature = token.split(".")
    refused = lambda text: main.denied(text)  # noqa: E731
    flipped = ("A" if signature[10] != "A" else "B").join([signature[:10], signature[11:]])
    words = "the subject's token has a signature that is not valid"
    assert refused(f"{header}.{claims}.{flipped}") == ("UNAUTHENTICATED", words)
    assert refused(forged(main.idp.issuer, jwt.get_unverified_header(token)["kid"])) == ("UNAUTHENTICATED", words)
    _, said = oidc.decode(token)
    unsigned = jwt.encode(said, None, algorithm="none", headers={"typ": "at+jwt"})
    words = "the subject's token is not signed (`alg` is `none`)"
    assert refused(unsigned) == ("UNAUTHENTICATED", words)
    # By hand: no library takes a public key for a secret any more.
    shared = ".".join(oidc._b64(json.dumps(part).encode()) for part in ({"typ": "at+jwt", "alg": "HS256"}, said))
    public = json.dumps(main.idp.jwks()["keys"][0]).encode()
    shared = f"{shared}.{oidc._b64(hmac.digest(public, shared.encode(), 'sha256'))}"
    assert refused(shared) == (
        "UNAUTHENTICATED",
        "the subject's token is signed with a shared secret (`alg` is one of `HS…`); only public keys are trusted here",
    )
    words = "the subject's token is no signed JWT in compact form (three parts with dots between them)"
    assert refused("this-is-certainly-not-a-token") == ("UNAUTHENTICATED", words)
    assert refused(f"Bearer {token}")[0] == "UNAUTHENTICATED"
    main.permitted(token)


def test_a_token_expires_that_was_verified_before(tmp_path: Path) -> None:
    with oidc.start_provider(ttl_s=4) as short, world(short, tmp_path, leeway_s=0) as here:
        token = here.delegated()
        here.permitted(token)
        ends_s = oidc.decode(token)[1]["exp"]

        def expired() -> bool:
            before_s = time.time()
            answer = here.ask(token)
            after_s = time.time()
            assert (reason(answer) == "") or ends_s <= after_s, answer.reason_text
            assert (reason(answer) != "") or before_s < ends_s, "permitted after its time"
            return reason(answer) != ""

        until(expired, within_s=10)
        why, words = here.denied(token)
        assert why == "UNAUTHENTICATED"
        assert re.fullmatch(r"the subject's token expired \d s ago \(`exp`\)", words)


# ── Bound to a key ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Bound:
    key: oidc.Key
    token: str


@pytest.fixture
def bound(main: World) -> Bound:
    key = oidc.dpop_key()
    return Bound(key, main.delegated(key=key))


def test_a_bound_token_with_its_proof(main: World, bound: Bound) -> None:
    for _ in range(2):
        assert main.permitted(bound.token, dpop(bound.key, bound.token))["token"]["binding"] == "pdp"


def test_a_bound_token_without_proof(main: World, bound: Bound) -> None:
    words = "the subject's token is bound to a key, and the request brings no proof of it"
    assert main.denied(bound.token) == ("BINDING_MISSING", words)
    main.permitted(bound.token, dpop(bound.key, bound.token))
    assert main.denied(bound.token) == ("BINDING_MISSING", words), "it was seen with a proof before"


def test_a_bound_token_of_the_agent_is_none_for_an_actor(main: World, people: Provider) -> None:
    """A request has one proof, and that is for the subject's token."""
    key = oidc.dpop_key()
    bot = main.idp.client_token(SUPPORT_AGENT, dpop_key=key)
    ana = people.user_token("ana")
    words = "the actor's token is bound to a key: send one that is not, for the proof of a request is the subject's"
    assert main.denied(ana, actor_token=bot) == ("BINDING_MISSING", words)
    words = "the proof is for another token (`ath`)"
    assert main.denied(ana, dpop(key, bot), actor_token=bot) == ("UNAUTHENTICATED", words)
    # It works on its own.
    assert main.permitted(bot, dpop(key, bot), method="tools/list")["token"]["binding"] == "pdp"


def test_a_proof_is_taken_once(main: World, bound: Bound) -> None:
    proof = dpop(bound.key, bound.token)
    main.permitted(bound.token, proof)
    for caller in (GW, ATTESTER):
        assert main.denied(bound.token, proof, caller=caller) == (
            "UNAUTHENTICATED", "the proof was used before (`jti`)"
        )  # fmt: skip
    main.permitted(bound.token, dpop(bound.key, bound.token))

    proof = dpop(bound.key, bound.token)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: reason(main.ask(bound.token, proof)), range(32)))
    assert sorted(answers) == ["", *["UNAUTHENTICATED"] * 31]


def test_a_batch_takes_each_by_its_own_credentials(main: World, bound: Bound) -> None:
    proof = dpop(bound.key, bound.token)
    requests = [
        main.request(bound.token, proof),
        main.request(bound.token, proof),
        main.request(main.idp.user_token("ana")),
        main.request(main.delegated()),
    ]
    metadata = [("authorization", f"Bearer {caller_token(GW)}")]
    batch = pb.AuthorizeBatchRequest(requests=requests)
    answers = main.pdp.authorization.AuthorizeBatch(batch, timeout=running.ANSWER_S, metadata=metadata).responses
    assert [reason(answer) for answer in answers] == ["", "UNAUTHENTICATED", "UNAUTHENTICATED", ""]
    assert answers[1].reason_text == "the proof was used before (`jti`)"


def test_a_proof_of_something_else(main: World, bound: Bound) -> None:
    def refused(proof: str, method: str = "POST", url: str = CRM) -> str:
        why, words = main.denied(bound.token, pb.DpopProof(proof=proof, method=method, url=url))
        assert why == "UNAUTHENTICATED"
        return words

    def proof(htm: str = "POST", htu: str = CRM, **claims: Any) -> str:
        return oidc.dpop_proof(bound.key, htm, htu, bound.token, **claims)

    assert refused(proof(), method="GET") == "the proof is for another HTTP method (`htm`)"
    assert refused(proof(htm="post")) == "the proof is for another HTTP method (`htm`)"
    assert refused(proof(), url=TICKETS) == "the proof is for another URL (`htu`)"
    assert refused(proof(htu=f"{CRM}/other")) == "the proof is for another URL (`htu`)"
    another = oidc.dpop_proof(bound.key, "POST", CRM, main.delegated(key=bound.key))
    assert refused(another) == "the proof is for another token (`ath`)"
    assert refused(oidc.dpop_proof(oidc.dpop_key(), "POST", CRM, bound.token)) == (
        "the proof is of another key than the token is bound to (`cnf`)"
    )
    assert refused(oidc.dpop_proof(bound.key, "POST", CRM)) == "the proof lacks the claim `ath`"
    assert refused(proof(iat=int(time.time()) - 120)).startswith("the proof was made 12")
    assert refused(proof(iat=int(time.time()) + 60)).startswith("the proof is valid only in ")
    assert refused(bound.token) != ""
    # What the client sent, as URLs are compared: case of the host, the usual port, no query.
    host = CRM.removeprefix("https://").split("/")[0]
    same = CRM.replace(host, f"{host.upper()}:443") + "?a=b#c"
    main.permitted(bound.token, pb.DpopProof(proof=proof(), method="POST", url=same))


def test_what_the_pep_attests(main: World, bound: Bound) -> None:
    shown = oidc.thumbprint(bound.key)
    words = f"the proof is only said by the caller `{GW}`, which lacks the role `attest`"
    assert main.denied(bound.token, thumbprint=shown) == ("UNAUTHENTICATED", words)
    record = main.permitted(bound.token, thumbprint=shown, caller=ATTESTER)
    assert record["token"]["binding"] == "pep"
    words = "the proof is of another key than the token is bound to (`cnf`)"
    another = oidc.thumbprint(oidc.dpop_key())
    assert main.denied(bound.token, thumbprint=another, caller=ATTESTER) == ("UNAUTHENTICATED", words)


def test_a_proof_binds_no_bearer_token(main: World) -> None:
    token, key = main.delegated(), oidc.dpop_key()
    assert main.permitted(token, dpop(key, token))["token"]["binding"] == "none"
    shown = main.permitted(token, thumbprint=oidc.thumbprint(key), caller=ATTESTER)
    assert shown["token"]["binding"] == "none"


def test_policies_see_how_a_token_is_bound(main: World) -> None:
    """Restricted data needs proof that Palisade itself saw (policies/guard/token.cedar)."""
    key = oidc.dpop_key()
    token = main.delegated("lea", LEAD_BOT, key)
    record = main.permitted(token, dpop(key, token), tool="export_customers")
    assert (record["data_classes"], record["token"]["binding"]) == (["restricted"], "pdp")
    words = "restricted data needs a token that is bound to a key, and proof of that key"
    shown = oidc.thumbprint(key)
    forbidden = ("FORBIDDEN", words)
    assert main.denied(token, thumbprint=shown, caller=ATTESTER, tool="export_customers") == forbidden
    assert main.denied(main.delegated("lea", LEAD_BOT), tool="export_customers") == forbidden


# ── Sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_stays_with_who_began_it(main: World) -> None:
    support, lead = main.delegated(), main.delegated(bot=LEAD_BOT)
    mismatch = ("SESSION_MISMATCH", "the session was begun by another party, or with another key")
    assert main.permitted(support, session="s-1")["session"] == "s-1"
    assert main.denied(lead, session="s-1") == mismatch
    assert main.denied(main.delegated("lea"), session="s-1") == mismatch, "another person"
    key = oidc.dpop_key()
    bound = main.delegated(key=key)
    assert main.denied(bound, dpop(key, bound), session="s-1") == mismatch, "another key"
    # Another token of the same parties is no other party; and sessions are the caller's own.
    main.permitted(main.delegated(), session="s-1")
    main.permitted(lead, session="s-2")
    main.permitted(lead, session="s-1", caller=ATTESTER)
    main.permitted(support, session="s-1")


def test_a_session_stays_with_its_key(main: World, bound: Bound) -> None:
    main.permitted(bound.token, dpop(bound.key, bound.token), session="s-key")
    other = oidc.dpop_key()
    token = main.delegated(key=other)
    mismatch = ("SESSION_MISMATCH", "the session was begun by another party, or with another key")
    assert main.denied(token, dpop(other, token), session="s-key") == mismatch
    assert main.denied(main.delegated(), session="s-key") == mismatch, "a bearer token of the same parties"
    main.permitted(bound.token, dpop(bound.key, bound.token), session="s-key")


# ── People whom the bundle does not have ─────────────────────────────────────────────────────────────────────────────


def described(*clearances: str, **more: Any) -> dict[str, Any]:
    attributes = {"active": True, "clearances": [{"type": "DataClass", "id": name} for name in clearances]}
    parents = [{"claim": "groups", "type": "Team"}]
    return {"human": {"unregistered": {"parents": parents, "attributes": attributes | more}}, "agent": "client_id"}


def test_an_unregistered_person(main: World) -> None:
    words = "the person whom the token names is not registered"
    assert main.denied(main.delegated("ben")) == ("UNAUTHENTICATED", words)


def test_a_described_clearance_covers_what_is_below_it(idp: Provider, tmp_path: Path) -> None:
    """As one of the bundle does (schemas/agent.cedarschema): customer data is confidential."""
    with world(idp, tmp_path, of_idp=described("confidential")) as here:
        here.permitted(here.delegated("ana"))
        here.permitted(here.delegated("ben"))


def test_an_unregistered_person_is_made_of_claims(idp: Provider, tmp_path: Path) -> None:
    with world(idp, tmp_path, of_idp=described("customer")) as here:
        answer = here.ask(here.delegated("ben"))
        assert reason(answer) == "", answer.reason_text
        assert {policy.id for policy in answer.determining} == {"support/crm", "support/bots"}
        record = here.record(answer)
        assert (record["principal"], record["assurance"]) == (party(human("ben")), "verified")
        # Restricted data is beyond what everybody is given; and the group `leads` is no role.
        assert here.denied(here.delegated("ben", LEAD_BOT), tool="export_customers")[0] == "FORBIDDEN"


def test_claims_add_nothing_to_whom_the_bundle_has(idp: Provider, tmp_path: Path) -> None:
    with world(idp, tmp_path, of_idp=described()) as here:
        words = "this handles data that you, or the person you act for, are not cleared for"
        assert here.denied(here.delegated("ben")) == ("FORBIDDEN", words)
        here.permitted(here.delegated("ana"))


def test_an_unregistered_person_is_inactive_when_so_configured(idp: Provider, tmp_path: Path) -> None:
    with world(idp, tmp_path, of_idp=described("customer", active=False)) as here:
        words = "the person this is done for is not active"
        assert here.denied(here.delegated("ben")) == ("FORBIDDEN", words)


def test_a_limit_on_lifetimes(idp: Provider, tmp_path: Path) -> None:
    with world(idp, tmp_path, of_idp={**BOTH, "lifetime_max_s": 299}) as here:
        words = "the subject's token is valid for 300 s, longer than its issuer's `lifetime_max_s` of 299"
        assert here.denied(here.delegated()) == ("UNAUTHENTICATED", words)


# ── Tokens that are taken back, and ends of sessions ─────────────────────────────────────────────────────────────────


def write(file: Path, revoked: list[dict[str, Any]]) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"revoked": revoked}), encoding="utf-8")
    beside.replace(file)


def test_revoked_tokens(idp: Provider, tmp_path: Path) -> None:
    file = tmp_path / "revoked.json"
    unread = "the subject's token cannot be believed: the list of revoked tokens could not be read yet; see the server's log"
    with world(idp, tmp_path, revoked_file=str(file)) as here:
        token, other = here.delegated(), here.delegated("lea")
        assert here.denied(token) == ("UNAUTHENTICATED", unread), "nobody knows what is on a list that is not there"
        write(file, [])
        until(lambda: reason(here.ask(token)) == "")
        here.permitted(other)
        _, claims = oidc.decode(token)
        write(file, [{"issuer": idp.issuer, "jti": claims["jti"]}])
        until(lambda: reason(here.ask(token)) != "")
        assert here.denied(token) == ("UNAUTHENTICATED", "the subject's token was revoked (by its `jti`)")
        here.permitted(here.delegated())
        here.permitted(other)
        # Everything that was issued to Lea until now; not what follows.
        write(file, [{"issuer": idp.issuer, "sub": "lea", "issued_before": int(time.time()) + 1}])
        until(lambda: reason(here.ask(other)) != "")
        assert here.denied(other) == ("UNAUTHENTICATED", "the subject's token was revoked (by its `sub`)")
        here.permitted(token)
        assert here.permitted(until_issued_after(here, int(time.time()) + 1))["principal"] == party(human("lea"))
        # A list that cannot be read changes nothing.
        file.write_text('{"revoked": [{"jti": "no issuer"}]}', encoding="utf-8")
        until(lambda: "an entry (1.) that cannot be used" in here.pdp.process.said())
        assert reason(here.ask(other)) == "UNAUTHENTICATED"
        here.permitted(token)


def until_issued_after(here: World, instant: int) -> str:
    """A token of Lea's that says that it was issued at this instant or later."""
    token = ""

    def issued() -> bool:
        nonlocal token
        token = here.delegated("lea")
        return oidc.decode(token)[1]["iat"] >= instant

    until(issued)
    return token


def test_the_end_of_a_session(main: World) -> None:
    support, lead = main.delegated(), main.delegated(bot=LEAD_BOT)
    main.permitted(support, session="s-end")
    mismatch = "SESSION_MISMATCH"
    assert main.denied(lead, session="s-end")[0] == mismatch
    end = lambda caller: main.pdp.authorization.EndSession(  # noqa: E731
        pb.EndSessionRequest(session="s-end"),
        timeout=running.ANSWER_S,
        metadata=[("authorization", f"Bearer {caller_token(caller)}")],
    )
    assert not end(ATTESTER).was_open, "sessions are the caller's own"
    assert main.denied(lead, session="s-end")[0] == mismatch
    assert end(GW).was_open
    assert not end(GW).was_open
    ended = [record for record in main.pdp.audit() if record["type"] == "admin" and record.get("session") == "s-end"]
    assert [record["caller"] for record in ended] == [ATTESTER, GW, GW]


# ── Callers that show a signed token ─────────────────────────────────────────────────────────────────────────────────

PDP = "https://pdp.acme.example"


def test_a_caller_is_known_by_a_token_of_its_own(tmp_path: Path) -> None:
    with oidc.start_provider({PDP: "ES256"}) as idp:
        configuration = json.loads(configured({"issuer": idp.issuer, **BOTH}, audience=[PDP]))
        bot = {"name": "bot-gw", "roles": ["authorize"], "servers": ["crm"]}
        bot["jwt"] = {"issuer": idp.issuer, "sub": SUPPORT_AGENT}
        configuration["callers"].append(bot)
        with running.palisade(tmp_path, configured=json.dumps(configuration)) as pdp:
            here = World(pdp, idp, tmp_path)
            request = here.request(here.delegated())
            own = idp.client_token(SUPPORT_AGENT, PDP)
            answer = pdp.authorize(request, own)
            assert reason(answer) == "", answer.reason_text
            assert here.record(answer)["caller"] == "bot-gw"
            # Also over a stream, of which each request is one of its own.
            stream = pdp.authorization.AuthorizeStream(
                iter([pb.AuthorizeStreamRequest(request=request)] * 3),
                timeout=running.ANSWER_S,
                metadata=[("authorization", f"Bearer {own}")],
            )
            assert [reason(answer.response) for answer in stream] == ["", "", ""]
            for token, words in [
                (idp.client_token(SUPPORT_AGENT), f"is for another audience (`aud`); expected `{PDP}`"),
                (idp.client_token(LEAD_BOT, PDP), "is good, and no caller has its issuer and `sub`"),
                (forged(idp.issuer, aud=PDP), "is signed with a key that its issuer does not publish (`kid`)"),
                (own[:-4] + "AAAA", "has a signature that is not valid"),
            ]:
                with pytest.raises(grpc.RpcError) as refused:
                    pdp.authorize(request, token)
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
                assert words in refused.value.details()
            assert here.holds(own, *own.split(".")[1:]) == []


# ── Keys that change ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """Worlds with a provider each, begun together: the pause after the first fetch passes for all at once."""
    with ExitStack() as stack:
        worlds = {}
        for name in ("kept", "gone", "outage"):
            provider = stack.enter_context(oidc.start_provider())
            worlds[name] = stack.enter_context(world(provider, tmp_path_factory.mktemp(name)))
        yield worlds


UNKNOWN_KEY = ("UNAUTHENTICATED", "the subject's token is signed with a key that its issuer does not publish (`kid`)")


def storm(here: World) -> None:
    """Many tokens with keys that nobody has."""
    tokens = [forged(here.idp.issuer, f"nobody-{at}") for at in range(STORM)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(here.ask, tokens))
    assert {(reason(answer), answer.reason_text) for answer in answers} == {UNKNOWN_KEY}


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "gone"])
def test_new_keys(waiting: dict[str, World], keep: bool) -> None:
    here = waiting["kept" if keep else "gone"]
    old = here.delegated()
    here.permitted(old)
    here.idp.reset_counts()
    here.idp.rotate(keep_old=keep)
    new = here.delegated()
    assert oidc.decode(new)[0]["kid"] != oidc.decode(old)[0]["kid"]

    storm(here)
    counts = here.idp.counts()
    assert counts["jwks"] <= 1 and counts["discovery"] <= 1, counts

    def accepted() -> bool:
        before = here.ask(old)
        answer = here.ask(new)
        if keep:
            assert reason(before) == "", before.reason_text
        if reason(answer) == "":
            return True
        assert (reason(answer), answer.reason_text) == UNKNOWN_KEY
        return False

    until(accepted)
    fetched = time.monotonic()
    once = {"jwks": 1, "discovery": 1, "jwks_refused": 0, "discovery_refused": 0}
    assert here.idp.counts() == once
    storm(here)
    here.permitted(new)
    here.permitted(here.delegated())
    if keep:
        here.permitted(old)
    else:
        assert here.denied(old) == UNKNOWN_KEY
    assert time.monotonic() - fetched < PAUSE_S - 5, "too slow to tell"
    assert here.idp.counts() == once


def test_an_outage_of_the_provider(waiting: dict[str, World]) -> None:
    here = waiting["outage"]
    here.idp.outage("on")
    here.idp.reset_counts()

    # Somebody misses a key, so the server asks, and is refused.
    def refused() -> bool:
        assert here.denied(forged(here.idp.issuer)) == UNKNOWN_KEY
        return here.idp.counts()["discovery_refused"] > 0

    until(refused)
    # None of these was seen before: each is verified, with the keys from before.
    tokens = [here.idp.exchange(here.idp.user_token("ana"), here.idp.client_token(SUPPORT_AGENT)) for _ in range(20)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(here.ask, tokens * 5))
    assert [reason(answer) for answer in answers] == [""] * 100
    counts = here.idp.counts()
    assert (counts["jwks"], counts["discovery"]) == (0, 0)
    assert "keys cannot be fetched" in here.pdp.process.said()

    # Tried again by itself, and soon.
    here.idp.rotate()
    token = here.delegated()
    assert here.denied(token) == UNKNOWN_KEY
    here.idp.outage("off")
    until(lambda: reason(here.ask(token)) == "")


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
def test_a_start_without_the_provider(tmp_path: Path, silent: bool) -> None:
    # A port that is taken and where nobody answers: connections are refused, or nothing comes.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if silent:
            taken.listen()
        port = taken.getsockname()[1]
        issuer = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        text = configured({"issuer": issuer, **BOTH})
        with running.palisade(tmp_path, configured=text) as pdp:
            ready_s = time.monotonic() - began
            # One attempt has 5 s; and some, for a slow machine.
            assert ready_s < 5 + 3
            lost = World(pdp, None, tmp_path)  # type: ignore[arg-type]
            words = (
                "the subject's token cannot be verified: the keys of its issuer have not been fetched yet; "
                "see the server's log"
            )
            assert lost.denied(forged(issuer)) == ("UNAUTHENTICATED", words)
            assert pdp.get("/readyz", token=False)[0] == 200
            taken.close()
            with oidc.start_provider(port=port) as provider:
                assert provider.issuer == issuer
                here = World(pdp, provider, tmp_path)
                token = here.delegated()
                until(lambda: reason(here.ask(token)) == "", within_s=20)
                assert here.record(here.ask(token))["token"]["issuer"] == issuer
