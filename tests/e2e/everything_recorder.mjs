// Loaded before @modelcontextprotocol/server-everything: writes down which of its tools run (but for those that begin tasks), and
// says where it listens.
// Never changes what a tool does or what a client is told.
import { appendFileSync } from 'node:fs';
import { Server } from 'node:net';

import { McpServer } from '../../tools/capture/node_modules/@modelcontextprotocol/sdk/dist/esm/server/mcp.js';

const recorded = (name, run) =>
  async function (...given) {
    appendFileSync(process.env.JOURNAL, JSON.stringify({ did: name }) + '\n');
    return run.apply(this, given);
  };

const { registerTool } = McpServer.prototype;
McpServer.prototype.registerTool = function (name, config, run) {
  return registerTool.call(this, name, config, recorded(name, run));
};

// It takes the port that it is told, and says that one; 0 would be any.
const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => console.log(`everything listening on http://127.0.0.1:${this.address().port}/mcp`));
  return listen.call(this, Number(port), '127.0.0.1', ...rest);
};
