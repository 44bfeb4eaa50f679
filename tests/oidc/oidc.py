"""A real OpenID provider for the tests (provider.mjs, npm oidc-provider), and what its clients ask of it.
Never waits by sleeping: the provider says when it is ready, and ends when its standard input closes.
"""

import base64
import hashlib
import json
import queue
import secrets
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

HERE = Path(__file__).resolve().parent
START_S = 60
STOP_S = 20
ANSWER_S = 10

# As in provider.mjs.
CRM = "https://crm.acme.example/mcp"
TICKETS = "https://tickets.acme.example/mcp"
GATEWAY = "crm-gateway"
SUPPORT_BOT = "support-bot"
LEAD_BOT = "spiffe://acme.example/agent/lead-bot"
# The agent that the bundle knows by this SPIFFE ID; the client `support-bot` it does not know.
SUPPORT_AGENT = "spiffe://acme.example/agent/support-bot"
SECRET = "a-secret-for-tests-only"
CALLBACK = "https://gateway.acme.example/callback"
MFA = "urn:acme:acr:mfa"
PWD = "urn:acme:acr:pwd"

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

Key = ec.EllipticCurvePrivateKey


class OAuthError(Exception):
    """The provider's answer, when it is not a token."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"{status} {answer}")
        self.status = status
        self.error = answer.get("error")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def dpop_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _jwk(key: Key) -> dict[str, str]:
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {member: public[member] for member in ("crv", "kty", "x", "y")}


def thumbprint(key: Key) -> str:
    """RFC 7638: what `cnf.jkt` says of a token bound to this key."""
    canonical = json.dumps(_jwk(key), separators=(",", ":"), sort_keys=True)
    return _b64(hashlib.sha256(canonical.encode()).digest())


def dpop_proof(key: Key, htm: str, htu: str, access_token: str | None = None, **claims: Any) -> str:
    """RFC 9449. `claims` replace those of an honest proof."""
    proof = {"jti": str(uuid.uuid4()), "htm": htm, "htu": htu, "iat": int(time.time())}
    if access_token is not None:
        proof["ath"] = _b64(hashlib.sha256(access_token.encode()).digest())
    return jwt.encode(proof | claims, key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": _jwk(key)})


def decode(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


class Provider:
    """A running provider. Its functions return access tokens."""

    def __init__(self, resources: dict[str, str] | None = None, port: int = 0, ttl_s: int = 300) -> None:
        command = ["node", str(HERE / "provider.mjs"), str(port), "--ttl", str(ttl_s)]
        for uri, alg in (resources or {}).items():
            command += ["--resource", f"{uri}={alg}"]
        self._errors = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        lines: queue.Queue[str] = queue.Queue()
        out = self._child.stdout
        assert out is not None
        threading.Thread(target=lambda: lines.put(out.readline()), daemon=True).start()
        try:
            ready = json.loads(lines.get(timeout=START_S))
        except (queue.Empty, ValueError):
            self._child.kill()
            self._child.wait(STOP_S)
            raise AssertionError(f"the OpenID provider does not start: {self.said()}") from None
        self.issuer: str = ready["issuer"]
        self.jwks_uri: str = ready["jwks_uri"]
        self.token_endpoint: str = ready["token_endpoint"]
        # No environment: a proxy must not stand between.
        self._http = httpx.Client(base_url=self.issuer, timeout=ANSWER_S, trust_env=False)

    def __enter__(self) -> "Provider":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def said(self) -> str:
        """What it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def stop(self) -> None:
        self._http.close()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(STOP_S)
            raise AssertionError(f"the OpenID provider does not stop: {self.said()}") from None
        finally:
            self._child.stdout.close()
            self._errors.close()

    def user_token(
        self, user: str, resource: str = CRM, scope: str = "crm:read", dpop_key: Key | None = None, acr: str = MFA
    ) -> str:
        """A user's token for the gateway: authorization code and PKCE, as a browser and the gateway would."""
        verifier = secrets.token_urlsafe(48)
        state = secrets.token_urlsafe(16)
        ask = {
            "client_id": GATEWAY,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            # acr_values needs "openid", which is not the resource's, and so does not come to stand in its token.
            "scope": f"openid {scope}",
            "resource": resource,
            "state": state,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "login_hint": user,
            "acr_values": acr,
        }
        with httpx.Client(base_url=self.issuer, timeout=ANSWER_S, trust_env=False) as browser:
            answer = browser.get("/auth", params=ask)
            while answer.is_redirect and not answer.headers["location"].startswith(CALLBACK):
                answer = browser.get(answer.headers["location"])
        if not answer.is_redirect:
            raise OAuthError(answer.status_code, {"error": answer.text})
        back = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        if "error" in back:
            raise OAuthError(answer.status_code, back)
        assert (back["state"], back["iss"]) == (state, self.issuer)
        return self.token(
            GATEWAY,
            dpop_key,
            grant_type="authorization_code",
            code=back["code"],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
            resource=resource,
        )["access_token"]

    def client_token(
        self, client: str, resource: str = CRM, scope: str = "crm:read", dpop_key: Key | None = None
    ) -> str:
        """An agent's own token: `sub` is the client."""
        return self.token(client, dpop_key, grant_type="client_credentials", resource=resource, scope=scope)[
            "access_token"
        ]

    def exchange(
        self,
        subject_token: str,
        actor_token: str | None,
        resource: str = CRM,
        dpop_key: Key | None = None,
        scope: str | None = None,
        client: str = GATEWAY,
    ) -> str:
        """RFC 8693: a token for the same subject, whose `act` names the actor, and before it those of the old token."""
        ask = {"subject_token": subject_token, "subject_token_type": ACCESS_TOKEN, "resource": resource}
        if actor_token is not None:
            ask |= {"actor_token": actor_token, "actor_token_type": ACCESS_TOKEN}
        if scope is not None:
            ask["scope"] = scope
        answer = self.token(client, dpop_key, grant_type=EXCHANGE, **ask)
        assert answer["issued_token_type"] == ACCESS_TOKEN
        return answer["access_token"]

    def token(self, client: str, dpop_key: Key | None = None, **parameters: str) -> dict[str, Any]:
        """The token endpoint's whole answer."""
        headers = {"DPoP": dpop_proof(dpop_key, "POST", self.token_endpoint)} if dpop_key else {}
        # RFC 6749, 2.3.1: form-encoded before they are joined. A SPIFFE ID has colons.
        auth = (quote(client, safe=""), quote(SECRET, safe=""))
        response = self._http.post(self.token_endpoint, data=parameters, headers=headers, auth=auth)
        answer = response.json()
        if response.status_code != 200:
            raise OAuthError(response.status_code, answer)
        assert answer["token_type"] == ("DPoP" if dpop_key else "Bearer")
        return answer

    def verify(self, token: str, audience: str = CRM) -> dict[str, Any]:
        """The claims, after a fresh look at the JWKS; raises jwt.PyJWTError when the token does not hold."""
        header = jwt.get_unverified_header(token)
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(self.jwks()).keys}
        if header["kid"] not in keys:
            raise jwt.InvalidKeyError(f"{header['kid']} is not in the JWKS")
        key = keys[header["kid"]]
        assert header["typ"] == "at+jwt"
        return jwt.decode(token, key, algorithms=[key.algorithm_name], audience=audience, issuer=self.issuer)

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def jwks(self) -> dict[str, Any]:
        return self.get(self.jwks_uri).raise_for_status().json()

    def rotate(self, keep_old: bool = False) -> dict[str, str]:
        """New signing keys, by algorithm."""
        return self._control("POST", "/test/rotate", old="keep" if keep_old else "remove")["kids"]

    def outage(self, seconds: float | str) -> None:
        """JWKS and discovery answer 503: for so long, or "on" until "off"."""
        self._control("POST", "/test/outage", seconds=str(seconds))

    def counts(self) -> dict[str, int]:
        """How often JWKS and discovery were answered, and refused, since the start or the last reset."""
        return self._control("GET", "/test/counts")

    def reset_counts(self) -> None:
        self._control("POST", "/test/counts")

    def _control(self, method: str, path: str, **query: str) -> Any:
        return self._http.request(method, path, params=query).raise_for_status().json()


def start_provider(resources: dict[str, str] | None = None, port: int = 0, ttl_s: int = 300) -> Provider:
    """`resources`: those that it knows beside CRM (ES256) and TICKETS (RS256), each with its signing algorithm.
    `ttl_s`: how long access tokens are valid."""
    return Provider(resources, port, ttl_s)
