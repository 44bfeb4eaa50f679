"""The real Envoy of docs/gateways/envoy.md before the real MCP server, and Palisade behind its filter `ext_authz`."""

import datetime
import ipaddress
import json
import ssl
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateways import ISSUER, NO_PERMIT, Gateway, changed, gateway, page
from tour_client import text_of

ERAS = ("auto", "legacy")


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


@pytest.fixture
def before_crm(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as envoy:
        yield envoy


@pytest.mark.parametrize("mode", ERAS)
def test_with_status_200_the_client_shows_the_words(tmp_path: Path, mode: str) -> None:
    with gateway(tmp_path, **{"deny_status: 403": "deny_status: 200"}) as envoy:
        said = envoy.refused("issue_refund", order="o-1", amount=300, mode=mode)
        assert NO_PERMIT in said
        assert envoy.did() == []


def test_claims_that_envoy_has_verified_are_enough_for_a_gateway_that_may_assert(tmp_path: Path) -> None:
    believed = {"roles: [authorize]": "roles: [authorize, assert]", "claims_of: []": f"claims_of: [{ISSUER}]"}
    with gateway(tmp_path, filters=page("Claims that Envoy has verified"), **believed) as envoy:
        assert text_of(envoy.ask("issue_refund", order="o-1", amount=30)) == "refunded 30 EUR for order o-1"
        assert NO_PERMIT in envoy.refused("issue_refund", order="o-1", amount=300)
        assert envoy.refused("issue_refund", who="bo", order="o-1", amount=30)
        assert envoy.did() == ["issue_refund"]
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
    assert before_crm.did() == []
