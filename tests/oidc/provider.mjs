// A real OpenID provider (npm oidc-provider) on loopback, for tests alone: its secrets stand below.
//
//   node provider.mjs [PORT] [--resource URI=ALG]... [--ttl SECONDS]
//
// Prints one line of JSON when ready, and runs until standard input closes. Access tokens are JWTs of RFC 9068 for the
// resource asked for (RFC 8707), by client_credentials, authorization code, or token exchange (RFC 8693) with `act`.
//
// Beside the provider's own endpoints:
//   /interaction/UID                 signs in the user named by login_hint and consents to all: no page, no password
//   POST /test/rotate[?old=keep]     new signing keys; the old ones leave the JWKS, or stay in it for verification only
//   POST /test/outage?seconds=N|on|off  JWKS and discovery answer 503
//   GET /test/counts                 how often each was answered, and refused by an outage; POST: counts from zero
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';

import * as jose from 'jose';

// oidc-provider notes on standard output what it finds worth noting; that is ours.
console.info = console.error;
const { default: Provider, errors } = await import('oidc-provider');
// What oidc-provider's own grants are made of; the package has no `exports`, so the path is part of the pin.
const grants = await import('oidc-provider/lib/helpers/grants.js');
const { createMemoryAdapter } = await import('oidc-provider/lib/adapters/memory_adapter.js');

const { AccessDenied, InvalidRequest, InvalidScope, InvalidTarget } = errors;

// Of everything that it issues, but for access tokens when --ttl says so.
const TTL_S = 300;
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const TOKEN_TYPES = new Set([ACCESS_TOKEN, 'urn:ietf:params:oauth:token-type:jwt']);
const SCOPES = ['crm:read', 'crm:write', 'tickets:read', 'tickets:write'].join(' ');
const ALGORITHMS = ['ES256', 'RS256'];
const MFA = 'urn:acme:acr:mfa';
// amr of RFC 8176 for each acr that a client may ask for with acr_values; the first is the default.
const AUTHENTICATION = { [MFA]: ['pwd', 'otp', 'mfa'], 'urn:acme:acr:pwd': ['pwd'] };
// The bundle has ana and lea, and knows nothing of ben.
const USERS = {
  ana: { groups: ['support'] },
  ben: { groups: ['support', 'leads'] },
  lea: { groups: ['support', 'leads'] },
};

// Which algorithm signs the tokens for a resource. The first is the audience of tools/crm.facts.yaml.
const resources = new Map([
  ['https://crm.acme.example/mcp', 'ES256'],
  ['https://tickets.acme.example/mcp', 'RS256'],
]);

const agent = (id) => ({
  client_id: id,
  client_secret: 'a-secret-for-tests-only',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});
const clients = [
  {
    ...agent('crm-gateway'),
    grant_types: ['authorization_code', 'client_credentials', EXCHANGE],
    redirect_uris: ['https://gateway.acme.example/callback'],
    response_types: ['code'],
  },
  agent('support-bot'),
  agent('spiffe://acme.example/agent/lead-bot'),
  agent('spiffe://acme.example/agent/support-bot'),
];

let port = 0;
let accessTokenTTL = TTL_S;
for (let args = process.argv.slice(2); args.length; args = args.slice(1)) {
  if (args[0] === '--resource') {
    args = args.slice(1);
    const [, uri, alg] = /^(.+)=(ES256|RS256)$/.exec(args[0] ?? '') ?? [];
    if (!URL.canParse(uri)) throw new Error(`--resource takes URI=ES256 or URI=RS256, not ${args[0]}`);
    resources.set(uri, alg);
  } else if (args[0] === '--ttl') {
    args = args.slice(1);
    accessTokenTTL = Number(args[0]);
    if (!(accessTokenTTL > 0)) throw new Error(`--ttl takes a number of seconds, not ${args[0]}`);
  } else {
    port = Number(args[0]);
  }
}

async function newKey(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await jose.calculateJwkThumbprint(jwk) };
}

const newKeys = () => Promise.all(ALGORITHMS.map(newKey));

function publicKeys(keys) {
  return keys.map(({ d, p, q, dp, dq, qi, ...jwk }) => jwk);
}

function resourceServer(resource) {
  const alg = resources.get(resource);
  if (!alg) throw new InvalidTarget(`unknown resource ${resource}`);
  const { kid } = signing.find((key) => key.alg === alg);
  const format = { accessTokenTTL, accessTokenFormat: 'jwt', jwt: { sign: { alg, kid } } };
  return { scope: SCOPES, audience: resource, ...format };
}

// Claims of tokens that come from an exchange, until they are signed.
const exchanged = new WeakMap();

function extraTokenClaims(ctx, token) {
  if (exchanged.has(token)) return exchanged.get(token);
  const { AuthorizationCode: code } = ctx.oidc.entities;
  if (!code) return undefined;
  return { groups: USERS[code.accountId].groups, acr: code.acr, amr: code.amr, auth_time: code.authTime };
}

// What a subject or actor token says, when this provider issued it and it still holds. By signature: the provider keeps
// no record of JWT access tokens.
async function own(name, token, type) {
  if (!TOKEN_TYPES.has(type)) throw new InvalidRequest(`${name}_type is not supported`);
  try {
    const keys = jose.createLocalJWKSet({ keys: publicKeys(known) });
    const requiredClaims = ['sub', 'aud', 'exp', 'client_id'];
    const options = { issuer, typ: 'at+jwt', algorithms: ALGORITHMS, requiredClaims };
    return (await jose.jwtVerify(token, keys, options)).payload;
  } catch (cause) {
    throw new InvalidRequest(`${name} is not valid`, undefined, cause?.code);
  }
}

// RFC 8693. Without an actor token the new token names no new actor (impersonation), but keeps those of the old one.
async function exchange(provider, ctx) {
  const { client, params } = ctx.oidc;
  for (const name of ['subject_token', 'subject_token_type', 'resource']) {
    if (!params[name]) throw new InvalidRequest(`missing required parameter ${name}`);
  }
  if (!params.actor_token !== !params.actor_token_type) {
    throw new InvalidRequest('actor_token and actor_token_type come together');
  }
  if (params.requested_token_type && !TOKEN_TYPES.has(params.requested_token_type)) {
    throw new InvalidRequest('requested_token_type is not supported');
  }
  const proof = await grants.validateDpop(provider, ctx);
  const subject = await own('subject_token', params.subject_token, params.subject_token_type);
  const actor = params.actor_token && await own('actor_token', params.actor_token, params.actor_token_type);

  const [server] = await grants.resolveRequestedResources(provider, ctx);
  const held = (subject.scope ?? '').split(' ').filter((scope) => scope && server.scopes.has(scope));
  const asked = params.scope ? params.scope.split(' ') : held;
  for (const scope of asked) {
    if (!held.includes(scope)) throw new InvalidScope('the subject token does not grant this scope', scope);
  }

  const token = new provider.AccessToken({ accountId: subject.sub, client, gty: EXCHANGE });
  token.resourceServer = server;
  token.scope = asked.join(' ');
  if (proof) {
    await grants.checkDpopReplay(provider, ctx, proof, client.clientId);
    token.setThumbprint('jkt', proof.thumbprint);
  }
  const { groups, acr, amr, auth_time } = subject;
  const act = actor ? { sub: actor.sub, iss: actor.iss, act: subject.act } : subject.act;
  // JSON drops what is undefined.
  exchanged.set(token, { groups, acr, amr, auth_time, act });
  ctx.oidc.entity('AccessToken', token);
  const accessToken = await token.save();
  ctx.body = grants.buildTokenResponse(provider, {
    accessToken,
    expiresIn: token.expiration,
    issuedTokenType: ACCESS_TOKEN,
    scope: token.scope || undefined,
    tokenType: token.tokenType,
  });
}

const adapter = createMemoryAdapter();
const cookieKeys = [randomBytes(32).toString('base64url')];

function build() {
  const provider = new Provider(issuer, {
    adapter,
    clients,
    jwks: { keys: known },
    cookies: { keys: cookieKeys },
    scopes: ['openid'],
    acrValues: Object.keys(AUTHENTICATION),
    responseTypes: ['code'],
    // How long access tokens last is the resource's to say.
    ttl: { Grant: TTL_S, IdToken: TTL_S, Interaction: TTL_S, Session: TTL_S },
    pkce: { required: () => true },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, sub) => USERS[sub] && { accountId: sub, claims: () => ({ sub }) },
    extraTokenClaims,
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_ctx, resource) => resourceServer(resource) },
    },
  });
  const parameters = [
    'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type',
    'resource', 'scope',
  ];
  provider.registerGrantType(EXCHANGE, (ctx) => exchange(provider, ctx), parameters);
  provider.on('server_error', (_ctx, error) => console.error(error));
  return { provider, callback: provider.callback() };
}

// The user's part of the authorization code flow.
async function interact({ provider }, request, response) {
  const { params, prompt } = await provider.interactionDetails(request, response);
  const accountId = params.login_hint;
  if (!Object.hasOwn(USERS, accountId ?? '')) {
    const { error, error_description } = new AccessDenied('unknown user');
    return provider.interactionFinished(request, response, { error, error_description });
  }
  if (prompt.name === 'login') {
    const acr = (params.acr_values ?? MFA).split(' ').find((value) => Object.hasOwn(AUTHENTICATION, value)) ?? MFA;
    const login = { accountId, acr, amr: AUTHENTICATION[acr], remember: false };
    return provider.interactionFinished(request, response, { login });
  }
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

const noCounts = () => ({ jwks: 0, discovery: 0, jwks_refused: 0, discovery_refused: 0 });
const FETCHED = {
  '/jwks': 'jwks',
  '/.well-known/openid-configuration': 'discovery',
  '/.well-known/oauth-authorization-server': 'discovery',
};
let issuer;
let signing = await newKeys();
// All that stand in the JWKS; those that sign come first.
let known = signing;
let current;
let counts = noCounts();
let outageEnds = 0;

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const controls = {
  async 'POST /test/rotate'(query) {
    const fresh = await newKeys();
    known = query.get('old') === 'keep' ? [...fresh, ...known] : fresh;
    signing = fresh;
    // The provider reads its keys once; a new one takes over, and the store with it.
    current = build();
    return { kids: Object.fromEntries(signing.map(({ alg, kid }) => [alg, kid])) };
  },
  async 'POST /test/outage'(query) {
    const seconds = query.get('seconds');
    const lasts = { on: Infinity, off: 0 }[seconds] ?? Number(seconds || NaN);
    if (!(lasts >= 0)) return undefined;
    outageEnds = lasts && Date.now() + lasts * 1000;
    return { outage: lasts > 0 };
  },
  'GET /test/counts': async () => counts,
  'POST /test/counts': async () => (counts = noCounts()),
};

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, issuer);
  const control = controls[`${request.method} ${pathname}`];
  if (control) {
    const body = await control(searchParams);
    return body ? json(response, 200, body) : json(response, 400, { error: 'invalid_request' });
  }
  const fetched = FETCHED[pathname];
  if (fetched) {
    if (Date.now() < outageEnds) {
      counts[`${fetched}_refused`] += 1;
      return json(response, 503, { error: 'temporarily_unavailable' });
    }
    counts[fetched] += 1;
  }
  if (pathname.startsWith('/interaction/')) return interact(current, request, response);
  return current.callback(request, response);
}

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else json(response, 500, { error: 'server_error', error_description: String(error) });
  });
});
server.listen(port, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  current = build();
  const ready = { issuer, jwks_uri: `${issuer}/jwks`, token_endpoint: `${issuer}/token` };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
});
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
