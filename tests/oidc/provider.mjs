// A real OpenID provider for the end-to-end tests: whoever wrote oidc-provider read the standards
// without knowing the gateway, so what the two understand of each other is no agreement of ours.
//
//   node provider.mjs [--port PORT] [--keys FILE]
//
// It listens on 127.0.0.1 (on any free port without --port) and says so in one line of JSON. With
// --keys its private keys are read from that file, or written to it where there is none yet, so
// that it can be stopped and started again as the same issuer.
//
// It obeys lines on its standard input, and answers each with one line of JSON:
//
//   rotate     signs with new keys from now on; the old ones stay in its key set
//   retire     leaves all but the newest keys out of its key set
//
// It ends when its standard input does, so that no test leaves it behind.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import Provider from 'oidc-provider';

// What oidc-provider remarks on goes where its warnings go: the standard output is for answers.
console.info = console.warn;

const { values: options } = parseArgs({
  options: { port: { type: 'string', default: '0' }, keys: { type: 'string' } },
});

// One kind of key for each algorithm that a resource may ask for.
const KINDS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

// Who may ask for tokens, and what the tokens say of them. A client that has no grant may only ask
// the introspection endpoint.
const CLIENTS = {
  orders: { grants: ['client_credentials'], roles: ['reader'] },
  admin: { grants: ['client_credentials'], roles: ['reader', 'admin'] },
  gateway: { grants: [], roles: [] },
};

const SCOPES = 'orders.read orders.write';

function generate() {
  return Object.entries(KINDS).map(([alg, pair]) => ({
    ...pair().privateKey.export({ format: 'jwk' }),
    alg,
    use: 'sig',
    kid: `${alg}-${randomUUID().slice(0, 8)}`,
  }));
}

// Tokens for `urn:api:ALG` are JWTs (RFC 9068) signed with that algorithm, those for `urn:opaque`
// have to be introspected. The audience of all is `api`.
function resource(ctx, indicator) {
  const kind = indicator.startsWith('urn:api:') ? indicator.slice('urn:api:'.length) : undefined;
  const common = { scope: SCOPES, audience: 'api', accessTokenTTL: 300 };
  if (Object.hasOwn(KINDS, kind ?? '')) {
    return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: kind } } };
  }
  return { ...common, accessTokenFormat: 'opaque' };
}

function configuration() {
  return {
    // The first key that fits is the one that signs.
    jwks: { keys },
    clients: Object.entries(CLIENTS).map(([id, { grants }]) => ({
      client_id: id,
      client_secret: `${id}-secret`,
      grant_types: grants,
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
    })),
    scopes: SCOPES.split(' '),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:opaque',
        getResourceServerInfo: resource,
      },
    },
    extraTokenClaims: (ctx, token) => ({ roles: CLIENTS[token.clientId].roles }),
  };
}

// The provider cannot change its keys, so a change is another provider in its place; what they
// issued they keep in the same memory.
function renew() {
  if (options.keys) writeFileSync(options.keys, JSON.stringify({ keys }), { mode: 0o600 });
  answer = new Provider(`http://127.0.0.1:${server.address().port}`, configuration()).callback();
}

function say(event) {
  process.stdout.write(`${JSON.stringify({ ...event, kids: keys.map(({ kid }) => kid) })}\n`);
}

let keys =
  options.keys && existsSync(options.keys)
    ? JSON.parse(readFileSync(options.keys, 'utf8')).keys
    : generate();
let answer;

const server = createServer((request, response) => answer(request, response));
server.listen(Number(options.port), '127.0.0.1', () => {
  renew();
  say({ ready: server.address().port });
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'rotate') keys = [...generate(), ...keys];
    else if (line === 'retire') keys = keys.slice(0, Object.keys(KINDS).length);
    else throw new Error(`no such command: ${line}`);
    renew();
    say({ done: line });
  })
  .on('close', () => process.exit(0));
