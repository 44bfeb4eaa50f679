"""The provider is what the tests take it for."""

import re
import time
from collections.abc import Iterator

import jwt
import pytest

import oidc
from oidc import CRM, GATEWAY, LEAD_BOT, SUPPORT_AGENT, SUPPORT_BOT, TICKETS, OAuthError, Provider


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with oidc.start_provider({"http://127.0.0.1:9/mcp": "RS256"}) as provider:
        yield provider


@pytest.fixture
def idp(shared: Provider) -> Provider:
    shared.outage("off")
    shared.reset_counts()
    return shared


def refused(error: str) -> "pytest.RaisesExc[OAuthError]":
    return pytest.raises(OAuthError, match=re.escape(f"'error': '{error}'"))


def test_discovery(idp: Provider) -> None:
    for place in ("openid-configuration", "oauth-authorization-server"):
        metadata = idp.get(f"/.well-known/{place}").json()
        assert metadata["issuer"] == idp.issuer
        assert metadata["jwks_uri"] == idp.jwks_uri
        assert metadata["token_endpoint"] == idp.token_endpoint
        assert oidc.EXCHANGE in metadata["grant_types_supported"]
        assert "ES256" in metadata["dpop_signing_alg_values_supported"]
    keys = idp.jwks()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("EC", "ES256", "sig"), ("RSA", "RS256", "sig")]
    assert not [key for key in keys if {"d", "p", "q"} & key.keys()]


@pytest.mark.parametrize(("resource", "alg"), [(CRM, "ES256"), (TICKETS, "RS256"), ("http://127.0.0.1:9/mcp", "RS256")])
def test_user(idp: Provider, resource: str, alg: str) -> None:
    token = idp.user_token("ana", resource, "crm:read tickets:read")
    header, _ = oidc.decode(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", alg)
    claims = idp.verify(token, resource)
    assert claims.keys() == {
        "iss", "aud", "exp", "iat", "jti", "client_id", "sub", "scope", "groups", "acr", "amr", "auth_time"
    }  # fmt: skip
    assert claims["iss"] == idp.issuer
    assert claims["aud"] == resource
    assert claims["exp"] - claims["iat"] == 300
    assert abs(time.time() - claims["iat"]) < 5
    assert (claims["sub"], claims["client_id"]) == ("ana", GATEWAY)
    assert claims["scope"] == "crm:read tickets:read"
    assert claims["groups"] == ["support"]
    assert (claims["acr"], claims["amr"]) == (oidc.MFA, ["pwd", "otp", "mfa"])
    assert claims["auth_time"] <= claims["iat"]


def test_weaker_authentication(idp: Provider) -> None:
    claims = idp.verify(idp.user_token("ben", acr=oidc.PWD))
    assert (claims["sub"], claims["groups"]) == ("ben", ["support", "leads"])
    assert (claims["acr"], claims["amr"]) == (oidc.PWD, ["pwd"])


@pytest.mark.parametrize("client", [SUPPORT_BOT, LEAD_BOT, SUPPORT_AGENT, GATEWAY])
def test_client(idp: Provider, client: str) -> None:
    claims = idp.verify(idp.client_token(client))
    assert claims.keys() == {"iss", "aud", "exp", "iat", "jti", "client_id", "sub", "scope"}
    assert claims["sub"] == claims["client_id"] == client


def test_every_token_differs(idp: Provider) -> None:
    assert len({oidc.decode(idp.client_token(SUPPORT_BOT))[1]["jti"] for _ in range(3)}) == 3


def test_exchange(idp: Provider) -> None:
    ana = idp.user_token("ana", CRM, "crm:read crm:write tickets:read")
    before = idp.verify(ana)

    once = idp.exchange(ana, idp.client_token(SUPPORT_BOT), scope="crm:read tickets:read")
    claims = idp.verify(once)
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("ana", GATEWAY, CRM)
    assert claims["act"] == {"sub": SUPPORT_BOT, "iss": idp.issuer}
    assert claims["scope"] == "crm:read tickets:read"
    assert claims["jti"] != before["jti"]
    for same in ("groups", "acr", "amr", "auth_time"):
        assert claims[same] == before[same]

    twice = idp.exchange(once, idp.client_token(LEAD_BOT), TICKETS)
    claims = idp.verify(twice, TICKETS)
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("ana", GATEWAY, TICKETS)
    first = {"sub": SUPPORT_BOT, "iss": idp.issuer}
    assert claims["act"] == {"sub": LEAD_BOT, "iss": idp.issuer, "act": first}
    assert claims["scope"] == "crm:read tickets:read"

    # No actor: nobody new acts, and nobody is forgotten.
    claims = idp.verify(idp.exchange(twice, None))
    assert claims["act"] == {"sub": LEAD_BOT, "iss": idp.issuer, "act": first}
    assert "act" not in idp.verify(idp.exchange(ana, None))


def test_exchange_for_an_agent(idp: Provider) -> None:
    claims = idp.verify(idp.exchange(idp.client_token(LEAD_BOT), idp.client_token(SUPPORT_BOT)))
    assert (claims["sub"], claims["client_id"]) == (LEAD_BOT, GATEWAY)
    assert claims["act"] == {"sub": SUPPORT_BOT, "iss": idp.issuer}
    assert "groups" not in claims


def test_exchange_refuses(idp: Provider) -> None:
    ana = idp.user_token("ana")
    bot = idp.client_token(SUPPORT_BOT)
    # The last character may carry bits that the signature does not: change one before.
    forged = bot[:-10] + ("A" if bot[-10] != "A" else "B") + bot[-9:]
    with refused("invalid_request"):
        idp.exchange(ana, forged)
    with refused("invalid_request"):
        idp.exchange("no.token.at-all", bot)
    with refused("invalid_scope"):
        idp.exchange(ana, bot, scope="crm:read crm:write")
    with refused("invalid_target"):
        idp.exchange(ana, bot, "https://elsewhere.example/mcp")
    with refused("invalid_request"):
        idp.exchange(ana, bot, client=SUPPORT_BOT)
    with oidc.start_provider() as other, refused("invalid_request"):
        idp.exchange(ana, other.client_token(SUPPORT_BOT))


def test_the_provider_refuses(idp: Provider) -> None:
    with refused("access_denied"):
        idp.user_token("mallory")
    with refused("invalid_target"):
        idp.user_token("ana", "https://elsewhere.example/mcp")
    with refused("invalid_target"):
        idp.client_token(SUPPORT_BOT, "https://elsewhere.example/mcp")
    with refused("invalid_client"):
        idp.client_token("nobody")


def test_dpop(idp: Provider) -> None:
    key = oidc.dpop_key()
    bound = {"jkt": oidc.thumbprint(key)}
    ana = idp.user_token("ana", dpop_key=key)
    bot = idp.client_token(SUPPORT_BOT, dpop_key=key)
    assert idp.verify(ana)["cnf"] == bound
    assert idp.verify(bot)["cnf"] == bound
    claims = idp.verify(idp.exchange(ana, bot, dpop_key=key))
    assert claims["cnf"] == bound
    assert claims["act"] == {"sub": SUPPORT_BOT, "iss": idp.issuer}
    # It is the proof that binds, not the token exchanged.
    assert "cnf" not in idp.verify(idp.exchange(ana, bot))


def test_dpop_refuses(idp: Provider) -> None:
    key = oidc.dpop_key()
    ask = {"grant_type": "client_credentials", "resource": CRM}

    def token(proof: str) -> dict[str, str]:
        auth = (SUPPORT_BOT, oidc.SECRET)
        return idp._http.post("/token", data=ask, headers={"DPoP": proof}, auth=auth).json()

    proof = oidc.dpop_proof(key, "POST", idp.token_endpoint)
    assert token(proof)["token_type"] == "DPoP"
    assert token(proof)["error"] == "invalid_grant", "replayed"
    assert token(oidc.dpop_proof(key, "GET", idp.token_endpoint))["error"] == "invalid_dpop_proof"
    assert token(oidc.dpop_proof(key, "POST", idp.jwks_uri))["error"] == "invalid_dpop_proof"
    stale = oidc.dpop_proof(key, "POST", idp.token_endpoint, iat=int(time.time()) - 3600)
    assert token(stale)["error"] == "invalid_dpop_proof"
    _, claims = oidc.decode(oidc.dpop_proof(key, "POST", CRM, "the token"))
    # printf %s 'the token' | openssl dgst -sha256 -binary | basenc --base64url
    assert claims["ath"] == "2Udy_Xap46HBcGc4R7qPloUf1COxp4NIcc0seGM8fpc"


def kids(idp: Provider) -> list[str]:
    return [key["kid"] for key in idp.jwks()["keys"]]


@pytest.mark.parametrize("resource", [CRM, TICKETS])
def test_rotation(idp: Provider, resource: str) -> None:
    idp.rotate()
    old = idp.client_token(SUPPORT_BOT, resource)
    before = kids(idp)

    fresh = idp.rotate(keep_old=True)
    assert kids(idp) == [*fresh.values(), *before]
    assert not set(fresh.values()) & set(before)
    new = idp.client_token(SUPPORT_BOT, resource)
    header, _ = oidc.decode(new)
    assert header["kid"] == fresh[header["alg"]]
    idp.verify(old, resource)
    idp.verify(new, resource)
    idp.exchange(old, new)

    last = idp.rotate()
    assert kids(idp) == list(last.values())
    with pytest.raises(jwt.InvalidKeyError):
        idp.verify(new, resource)
    with refused("invalid_request"):
        idp.exchange(new, None)
    idp.verify(idp.user_token("ana", resource), resource)


def test_replay_is_known_after_rotation(idp: Provider) -> None:
    proof = {"DPoP": oidc.dpop_proof(oidc.dpop_key(), "POST", idp.token_endpoint)}
    ask = {"grant_type": "client_credentials", "resource": CRM}
    auth = (SUPPORT_BOT, oidc.SECRET)
    assert idp._http.post("/token", data=ask, headers=proof, auth=auth).status_code == 200
    idp.rotate()
    assert idp._http.post("/token", data=ask, headers=proof, auth=auth).status_code == 400


def test_outage_and_counts(idp: Provider) -> None:
    discovery = "/.well-known/openid-configuration"
    idp.get(discovery)
    idp.jwks()
    idp.jwks()
    idp.outage("on")
    assert idp.get(discovery).status_code == 503
    assert idp.get(idp.jwks_uri).status_code == 503
    # Tokens are issued meanwhile.
    token = idp.client_token(SUPPORT_BOT)
    idp.outage("off")
    idp.verify(token)
    assert idp.counts() == {"jwks": 3, "discovery": 1, "jwks_refused": 1, "discovery_refused": 1}

    idp.outage(0.5)
    assert idp.get("/jwks").status_code == 503
    deadline = time.monotonic() + 10
    while idp.get("/jwks").status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert idp.counts()["jwks"] == 4
    assert idp._http.post("/test/outage", params={"seconds": "soon"}).status_code == 400


def test_ends_with_its_standard_input() -> None:
    provider = oidc.start_provider()
    assert provider.get("/jwks").status_code == 200
    provider.stop()
    assert provider._child.returncode == 0
