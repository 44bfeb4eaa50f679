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
const client = new Client({ name: 'steps', version: '1.0.0' }, sdk === '1' ? {} : { versionNegotiation: { mode } });
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
await client.connect(transport);
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
};
console.log('connected');
for await (const line of createInterface({ input: process.stdin })) {
  const [step, ...rest] = JSON.parse(line);
  try {
    console.log(JSON.stringify({ did: await DO[step](...rest) }));
  } catch (error) {
    console.log(JSON.stringify({ failed: error.message, code: error.code }));
  }
}
await client.close();
