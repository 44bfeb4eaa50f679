// A client that does what no SDK's client does: uses an id twice, and cancels before there is an answer.
// Prints the replies to what was sent, one JSON line each. The server's only tool says on standard error that it ran.
import { PROTOS, Palisade, require } from './sdk.mjs';

const [address, token] = process.argv.slice(2);
const { InMemoryTransport } = require('@modelcontextprotocol/sdk/inMemory.js');
const { Server } = require('@modelcontextprotocol/sdk/server/index.js');
const types = require('@modelcontextprotocol/sdk/types.js');

const tools = ['lookup_customer', 'export_customers'].map((name) => ({ name, inputSchema: { type: 'object' } }));
const server = new Server({ name: 'crm', version: '1.0.0' }, { capabilities: { tools: {} } });
server.setRequestHandler(types.ListToolsRequestSchema, async () => ({ tools }));
server.setRequestHandler(types.CallToolRequestSchema, async ({ params }) => {
  console.error('ran', JSON.stringify(params.arguments));
  return { content: [{ type: 'text', text: 'done' }] };
});
const subject = { principal: { type: 'Human', id: 'ana' }, actor: { type: 'Agent', id: 'support-bot' } };
new Palisade({ server: 'crm', address, protos: PROTOS, token, timeoutMs: 10_000, identify: () => ({ subject }) }).guard(server);

const [near, far] = InMemoryTransport.createLinkedPair();
const replies = [];
const waiting = [];
near.onmessage = (message) => (replies.push(message), waiting.splice(0).forEach((wake) => wake()));
const count = async (wanted) => {
  while (replies.length < wanted) await new Promise((wake) => waiting.push(wake));
};
const call = (id, customer_id) => ({ id, method: 'tools/call', params: { name: 'lookup_customer', arguments: { customer_id } } });
const send = (message) => near.send({ jsonrpc: '2.0', ...message });
// Sent before the server listens: must wait for a decision like any other.
const early = send(call(1, 'early'));
await server.connect(far);
await early;
await count(1);
// Three requests with one id: one reply each, and none with a list that was not filtered.
const [list, ping] = [{ id: 2, method: 'tools/list' }, { id: 2, method: 'ping' }];
await Promise.all([send(list), send(ping), send(list)]);
await count(4);
// Cancelled before there is a decision, and changed after it was sent: neither runs so.
await send(call(3, 'cancelled'));
await send({ method: 'notifications/cancelled', params: { requestId: 3 } });
const changed = call(4, 'sent');
await send(changed);
changed.params.arguments.customer_id = 'changed';
await count(5);
for (const reply of replies) console.log(JSON.stringify(reply));
process.exit(0);
