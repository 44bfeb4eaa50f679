// A client written with the TypeScript SDK: does the steps of a script that it reads from standard input, one JSON line a step,
// and prints one JSON line a result. Never talks to Palisade.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../../examples/typescript/package.json', import.meta.url));

const [url, sdk, mode, sent] = process.argv.slice(2);
const headers = JSON.parse(sent);
const { Client } = require(sdk === '1' ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = require(
  sdk === '1' ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client',
);
const capabilities = { sampling: {}, elicitation: {}, roots: {} };
const options = sdk === '1' ? { capabilities } : { capabilities, versionNegotiation: { mode } };
const client = new Client({ name: 'steps', version: '1.0.0' }, options);
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });

// What the server may ask.
const ANSWERS = {
  'sampling/createMessage': { role: 'assistant', content: { type: 'text', text: 'yes' }, model: 'none' },
  'elicitation/create': { action: 'decline' },
  'roots/list': { roots: [] },
};
const asked = (method) => {
  if (sdk !== '1') return method;
  const { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } = require('@modelcontextprotocol/sdk/types.js');
  const schemas = [CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema];
  return schemas.find((schema) => schema.shape.method.value === method);
};
for (const [method, answer] of Object.entries(ANSWERS)) client.setRequestHandler(asked(method), async () => answer);

// What it was told, and who waits to hear it, by methods.
const [heard, waiting] = [new Map(), new Map()];
client.fallbackNotificationHandler = async ({ method, params }) => {
  const next = waiting.get(method)?.shift();
  if (next) next(params);
  else heard.set(method, [...(heard.get(method) ?? []), params]);
};
const hear = (method) => {
  const [first, ...rest] = heard.get(method) ?? [];
  if (first === undefined) return new Promise((resolve) => waiting.set(method, [...(waiting.get(method) ?? []), resolve]));
  heard.set(method, rest);
  return first;
};

const SENT = {
  'tools/list': () => client.listTools(),
  'tools/call': (params) => client.callTool(params),
  'resources/list': () => client.listResources(),
  'resources/templates/list': () => client.listResourceTemplates(),
  'resources/read': (params) => client.readResource(params),
  'resources/subscribe': (params) => client.subscribeResource(params),
  'resources/unsubscribe': (params) => client.unsubscribeResource(params),
  'prompts/list': () => client.listPrompts(),
  'prompts/get': (params) => client.getPrompt(params),
  'completion/complete': (params) => client.complete(params),
  'logging/setLevel': ({ level }) => client.setLoggingLevel(level),
  ping: () => client.ping(),
};
const DO = {
  era: async () => client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
  tools: async () => (await client.listTools()).tools.map(({ name }) => name),
  resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
  prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
  read: async (uri) => (await client.readResource({ uri })).contents[0].text,
  prompt: async (name) => (await client.getPrompt({ name, arguments: { customer: 'Ines' } })).messages[0].content.text,
  call: async (name, input) => {
    const { content, isError } = await client.callTool({ name, arguments: input });
    return [isError === true, content[0].text];
  },
  server: async () => [client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()],
  send: async (method, params) => SENT[method](params),
  run: async (params, steps) => {
    const told = [];
    const onprogress = ({ progress, total }) => told.push([progress, total]);
    const result = await (sdk === '1' ? client.callTool(params, undefined, { onprogress }) : client.callTool(params, { onprogress }));
    return [result, told.slice(0, steps)];
  },
  hear: async (method) => hear(method),
  listen: async () => {
    const stream = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['crm://plans'] });
    await stream.close();
    return stream.honoredFilter;
  },
};

await client.connect(transport);
console.log('connected');
for await (const line of createInterface({ input: process.stdin })) {
  const [step, ...rest] = JSON.parse(line);
  try {
    console.log(JSON.stringify({ did: (await DO[step](...rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ failed: error.message, code: error.code }));
  }
}
// The end of the session, in the era that has sessions; a gateway that is gone has ended it already.
await transport.terminateSession().catch(() => {});
await client.close();
// Version 1 would try for seconds to open the stream of that session again.
process.exit();
