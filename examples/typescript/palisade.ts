// Makes an MCP server written with the TypeScript SDK an enforcement point of Palisade: asks before each request, filters
// lists. Never lets a request run without a permit: a deny, an error, an unfulfilled obligation and no answer all stop it.
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
type Json = Record<string, any>;
type Open = { method: string; asked?: Json; decision?: string };
export interface Options {
  server: string; // the server's id in Palisade's catalog
  address: string; // of Palisade's gRPC port: `127.0.0.1:8180`, `unix:/run/palisade.sock`
  protos: string; // the folder that holds palisade/v1/*.proto
  token?: string; // proves to Palisade who asks
  channel?: grpc.ChannelCredentials; timeoutMs?: number; // plain, as is right on loopback and unix sockets; 1000
  identify?: (headers: Json) => { subject?: Json; credentials?: Json }; // of HTTP headers, names in lower case; stdio has none
  definition?: (tool: string) => Json | undefined; // a tool as tools/list shows it, held against the reviewed one
  obligations?: Record<string, (properties: Json) => Promise<void>>; // how each type is fulfilled; who throws has not
}
const NO_ANSWER = 'no authorization decision could be made, so nothing was done';
const UNFULFILLED = 'something that has to be done together with this step could not be done';
const [DENIED, FAILED, INVALID] = [-32001, -32603, -32600]; // codes of JSON-RPC
// A list: the member that holds its items, and how the use of one is asked about.
const LISTS: Json = { 'resources/list': ['resources', 'resources/read', 'uri'], 'prompts/list': ['prompts', 'prompts/get', 'name'] };
/** Who asks: whoever the request's access token says. Palisade verifies the token itself. */
export const bearer = ({ authorization = '' }: Json) =>
  /^bearer /i.test(authorization) ? { credentials: { subject_token: authorization.slice(7) } } : {};

export class Palisade {
  readonly #stubs: Json;
  constructor(private readonly options: Options) {
    const how = { includeDirs: [options.protos], keepCase: true, enums: String, longs: String, defaults: true };
    const loaded = loadSync(['palisade/v1/authorization.proto', 'palisade/v1/search.proto'], how);
    const { Authorization, Search } = (grpc.loadPackageDefinition(loaded).palisade as any).v1;
    const to = [options.address, options.channel ?? grpc.credentials.createInsecure()];
    this.#stubs = { Authorization: new Authorization(...to), Search: new Search(...to) };
  }

  /** Puts itself before every handler of a `Server` or `McpServer`, of version 1 or 2 of the SDK, whatever the transport. */
  guard<S extends { connect(transport: any): Promise<void> }>(server: S): S {
    const connect = server.connect.bind(server);
    server.connect = async (transport: any) => connect(this.#watch(transport));
    return server;
  }

  /** Stands between a transport and its server: what comes in is decided, what goes out is filtered. */
  #watch(transport: any) {
    const [start, send, closed] = [transport.start.bind(transport), transport.send.bind(transport), transport.onclose];
    const open = new Map<unknown, Open>(); // requests without a reply
    let [deliver, negotiated]: [(message: Json, extra: any) => void, string] = [() => {}, ''];
    const abandon = (id: unknown) => {
      const decision = open.get(id)?.decision;
      if (open.delete(id) && decision) void this.#report(decision, 'UNKNOWN');
    };
    const decide = async (message: Json, extra: any) => {
      const { id, method } = message;
      if (open.has(id)) return send(refusal(id, '', INVALID, 'this id is in use'));
      const entry: Open = { method };
      open.set(id, entry);
      if (method === 'ping') return deliver(message, extra);
      let reply = refusal(id, method, FAILED, NO_ANSWER);
      try {
        const asked = this.#question(message, extra, transport.sessionId, negotiated);
        const { decision, decision_id, reason_text, obligations, resource } = await this.#call('Authorization', 'Authorize', asked);
        const fulfil = async (duty: Json) => this.options.obligations![duty.type](JSON.parse(duty.properties || '{}'));
        const tried = await Promise.allSettled<any>(obligations.map(fulfil)); // each, whatever was decided
        const unmet = tried.filter(({ status }) => status === 'rejected');
        if (unmet.length) console.error('palisade: obligations that were not fulfilled: %o', unmet);
        const permitted = decision === 'DECISION_PERMIT';
        if (!permitted || unmet.length) reply = refusal(id, method, DENIED, permitted ? UNFULFILLED : reason_text, decision_id);
        else if (open.get(id) === entry) { // neither cancelled nor hung up meanwhile
          const params = JSON.parse(asked.mcp.params.toString()); // what was decided on, whatever became of `message`
          if (typeof params.uri === 'string') params.uri = resource.id.slice(this.options.server.length + 1);
          Object.assign(entry, { asked, decision: decision_id });
          return deliver('params' in message ? { ...message, params } : message, extra);
        }
        if (permitted) await this.#report(decision_id, 'NOT_EXECUTED');
      } catch (error) {
        console.error('palisade: no answer: %s', error);
      }
      if (open.get(id) === entry && open.delete(id)) await send(reply);
    };
    const receive = (message: Json, extra: any) => {
      if (message.method === 'notifications/cancelled') abandon(message.params?.requestId);
      if (message.method === undefined || message.id === undefined) return deliver(message, extra);
      decide(message, extra).catch((error) => transport.onerror?.(error));
    };
    transport.start = async () => {
      [deliver, transport.onmessage] = [transport.onmessage, receive]; // before anything can come in
      if (transport.onmessage !== receive) throw new Error('this transport cannot be guarded');
      await start();
    };
    transport.onclose = () => ([...open.keys()].forEach(abandon), closed?.());
    transport.send = async (message: Json, options?: any) => {
      if (message.method !== undefined || message.id == null) return send(message, options);
      const entry = open.get(message.id);
      if (!entry) return; // cancelled: nobody waits for it
      if (entry.method === 'initialize') negotiated = message.result?.protocolVersion ?? '';
      const shown = entry.asked && message.result ? this.#shown(entry.method, entry.asked, message) : Promise.resolve(message);
      const reply = await shown.catch(() => refusal(message.id, '', FAILED, NO_ANSWER));
      const status = reply.error || reply.result.isError ? 'FAILED' : 'SUCCEEDED';
      if (entry.decision) await this.#report(entry.decision, status, JSON.stringify(reply.result ?? '').length);
      if (open.get(message.id) === entry && open.delete(message.id)) await send(reply, options);
    };
    return transport;
  }

  #question({ method, params = {} }: Json, extra: any, session: string | undefined, negotiated: string): Json {
    const { server, definition = () => undefined, identify = bearer, obligations = {} } = this.options;
    const headers: Json = Object.fromEntries(new Headers(extra?.request?.headers ?? extra?.requestInfo?.headers)); // of 2, of 1
    const version = headers['mcp-protocol-version'] || negotiated || params._meta?.['io.modelcontextprotocol/protocolVersion'];
    const live = bytes(method === 'tools/call' ? definition(params.name) : undefined);
    const ofMcp = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('mcp-')));
    const mcp = { server, method, protocol_version: version, params: bytes(params), tool_definition: live, headers: ofMcp };
    const said = { session: session ?? headers['mcp-session-id'], supported_obligations: Object.keys(obligations) };
    return { ...identify(headers), ...said, mcp };
  }

  /** The result without the items of a list that its reader may not use, and for no shared cache. */
  async #shown(method: string, asked: Json, message: Json): Promise<Json> {
    const { mcp, supported_obligations, ...parties } = asked;
    const result = { ...message.result, ...('cacheScope' in message.result && { cacheScope: 'private' }) };
    if (method === 'tools/list') {
      const { names } = await this.#call('Search', 'ListTools', { parties, server: mcp.server, tools_list: bytes(result) });
      result.tools = result.tools.filter(({ name }: Json) => names.includes(name));
    } else if (LISTS[method]) {
      const [member, use, key] = LISTS[method];
      const of = (item: Json) => ({ ...mcp, method: use, params: bytes({ [key]: item[key] }), headers: {} });
      const previews = result[member].map((item: Json) => ({ ...asked, mode: 'MODE_PREVIEW', mcp: of(item) }));
      const answers = await Promise.all(previews.map((preview: Json) => this.#call('Authorization', 'Authorize', preview)));
      result[member] = result[member].filter((_: Json, place: number) => answers[place].decision === 'DECISION_PERMIT');
    }
    return { ...message, result };
  }

  #report(decision_id: string, status: string, result_bytes = 0): Promise<unknown> {
    const sent = this.#call('Authorization', 'ReportOutcome', { decision_id, status: `OUTCOME_STATUS_${status}`, result_bytes });
    return sent.catch((error) => console.error('palisade: the outcome of %s is not on record: %s', decision_id, error));
  }
  #call(service: string, method: string, request: Json): Promise<any> {
    const [stub, metadata, { token, timeoutMs = 1000 }] = [this.#stubs[service], new grpc.Metadata(), this.options];
    if (token) metadata.set('authorization', `Bearer ${token}`);
    return promisify(stub[method]).call(stub, request, metadata, { deadline: Date.now() + timeoutMs });
  }
}
const bytes = (value: unknown) => (value === undefined ? undefined : Buffer.from(JSON.stringify(value)));
const refusal = (id: unknown, method: string, code: number, text: string, decision?: string): Json => {
  const said = decision ? { 'dev.palisade/decision-id': decision } : undefined;
  if (method !== 'tools/call') return { jsonrpc: '2.0', id, error: { code, message: text, data: said } };
  return { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }], isError: true, resultType: 'complete', _meta: said } };
};
