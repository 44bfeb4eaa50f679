// @modelcontextprotocol/server-everything as it is published, on stdio; guarded when an address of Palisade is given.
// Never changes the server: the enforcement point is put around it.
import { PROTOS, Palisade, require } from './sdk.mjs';

const [address, token] = process.argv.slice(2);
const { createServer } = await import('../../tools/capture/node_modules/@modelcontextprotocol/server-everything/dist/server/index.js');
const { StdioServerTransport } = require('@modelcontextprotocol/sdk/server/stdio.js');
const { server } = createServer();
const parties = { principal: { type: 'Human', id: 'bo' }, actor: { type: 'Agent', id: 'coder' } };
const asks = { server: 'everything', address, protos: PROTOS, token, timeoutMs: 10_000, identify: () => ({ subject: parties }) };
if (address) new Palisade(asks).guard(server);
await server.connect(new StdioServerTransport());
