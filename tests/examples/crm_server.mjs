// The sample customer system in TypeScript, with version 1 or 2 of the SDK, behind the enforcement point of examples/typescript.
// Never decides for itself who may do what; without --palisade nothing is decided at all, for comparison.
import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { PROTOS, Palisade, demo, require } from './sdk.mjs';

const { values: flags } = parseArgs({
  options: {
    sdk: { type: 'string' },
    palisade: { type: 'string' },
    token: { type: 'string' },
    journal: { type: 'string' },
    notify: { type: 'boolean' },
    bearer: { type: 'boolean' },
    timeout: { type: 'string' },
  },
});
const { tools } = JSON.parse(readFileSync(new URL('../../tools/crm.json', import.meta.url), 'utf8'));
const did = (tool, what) => appendFileSync(flags.journal, JSON.stringify({ did: tool, ...what }) + '\n');
const notify = async (properties) => {
  if (properties.to === 'nobody') throw new Error('nobody cannot be notified');
  did('notify', properties);
};
const palisade =
  flags.palisade &&
  new Palisade({
    server: 'crm',
    address: flags.palisade,
    protos: PROTOS,
    token: flags.token,
    timeoutMs: 1000 * Number(flags.timeout),
    identify: flags.bearer ? undefined : demo,
    definition: (name) => tools.find((tool) => tool.name === name),
    obligations: flags.notify ? { notification: notify } : {},
  });
const guarded = (server) => (palisade ? palisade.guard(server) : server);

function run(name, input) {
  did(name, input);
  const customer = { name: 'Ines Duarte', email: 'ines@customer.example', plan: 'team' };
  if (name === 'lookup_customer') return { content: [{ type: 'text', text: JSON.stringify(customer) }], structuredContent: customer };
  const said = name === 'issue_refund' ? `refunded ${input.amount} EUR for order ${input.order}` : `did ${name}`;
  return { content: [{ type: 'text', text: said }], structuredContent: { result: name === 'export_customers' ? [] : said } };
}

const RESOURCE = { uri: 'crm://plans', name: 'plans', description: 'The plans that customers can have.' };
const contents = { contents: [{ uri: RESOURCE.uri, text: 'solo, team' }] };
const PROMPT = { name: 'apology', description: 'Words for a customer.', arguments: [{ name: 'customer', required: true }] };
const words = (to) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Write an apology to ${to}.` } }] });
const info = { name: 'crm', version: '1.0.0' };

/** The server with version 2: McpServer, both eras, an instance a request. */
function second() {
  const { McpServer, createMcpHandler, fromJsonSchema } = require('@modelcontextprotocol/server');
  const { toNodeHandler } = require('@modelcontextprotocol/node');
  const handler = createMcpHandler(() => {
    const server = new McpServer(info);
    for (const { name, inputSchema, outputSchema, ...rest } of tools) {
      const schemas = { inputSchema: fromJsonSchema(inputSchema), ...(outputSchema && { outputSchema: fromJsonSchema(outputSchema) }) };
      server.registerTool(name, { ...rest, ...schemas }, async (input) => run(name, input));
    }
    server.registerResource(RESOURCE.name, RESOURCE.uri, { description: RESOURCE.description }, async () => contents);
    const customer = { type: 'object', properties: { customer: { type: 'string' } }, required: ['customer'] };
    server.registerPrompt(PROMPT.name, { description: PROMPT.description, argsSchema: fromJsonSchema(customer) }, async (given) => words(given.customer));
    return guarded(server);
  });
  return toNodeHandler(handler);
}

/** The server with version 1: the low-level Server, sessions. */
function first() {
  const { Server } = require('@modelcontextprotocol/sdk/server/index.js');
  const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
  const types = require('@modelcontextprotocol/sdk/types.js');
  const sessions = new Map();
  const begin = async () => {
    const server = new Server(info, { capabilities: { tools: {}, resources: {}, prompts: {} } });
    server.setRequestHandler(types.ListToolsRequestSchema, async () => ({ tools }));
    server.setRequestHandler(types.CallToolRequestSchema, async ({ params }) => run(params.name, params.arguments));
    server.setRequestHandler(types.ListResourcesRequestSchema, async () => ({ resources: [RESOURCE] }));
    server.setRequestHandler(types.ReadResourceRequestSchema, async () => contents);
    server.setRequestHandler(types.ListPromptsRequestSchema, async () => ({ prompts: [PROMPT] }));
    server.setRequestHandler(types.GetPromptRequestSchema, async ({ params }) => words(params.arguments.customer));
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await guarded(server).connect(transport);
    return transport;
  };
  return async (request, response) => {
    const transport = sessions.get(request.headers['mcp-session-id']) ?? (await begin());
    await transport.handleRequest(request, response);
  };
}

const listener = createServer(flags.sdk === '1' ? first() : second());
listener.listen(0, '127.0.0.1', () => console.log(`crm listening on http://127.0.0.1:${listener.address().port}/mcp`));
