// What vscode-jsonrpc puts on the wire and what plain messages beside it get; prints what came back as JSON.
//
// Usage: node wire.mjs   (with omnirt on PATH)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  CancellationTokenSource,
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';

const daemon = spawn('omnirt', ['serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
const ended = once(daemon, 'exit');
const reader = new StreamMessageReader(daemon.stdout);
const writer = new StreamMessageWriter(daemon.stdin);
const seen = { errors: [] };

// arrays and other ids than a client's own: the library's reader and writer alone
const plain = [];
const listening = reader.listen((message) => plain.push(message));
const raw = [
  { jsonrpc: '2.0', id: 0, method: 'ping', params: null },
  { jsonrpc: '2.0', id: '', method: 'ping', params: [] },
  [
    { jsonrpc: '2.0', id: 0, method: 'ping' },
    { jsonrpc: '2.0', method: 'initialized', params: {} },
    { jsonrpc: '2.0', id: 0, method: 'session.list' },
  ],
];
for (const message of raw) await writer.write(message);
while (plain.length < raw.length) await new Promise((resolve) => daemon.stdout.once('data', () => setImmediate(resolve)));
seen.plain = plain;
listening.dispose();

// … and the client, whose ids begin at 0 as well
const connection = createMessageConnection(reader, writer);
const told = {};
connection.onNotification((method, params) => (told[method] ??= []).push(params));
connection.onUnhandledNotification(({ method, params }) => (told[method] ??= []).push(params));
connection.onError(([error]) => seen.errors.push(error.message));
connection.listen();
const attempt = (request) => request.catch(({ code, data }) => ({ code, kind: data?.kind }));

seen.withoutParams = await attempt(connection.sendRequest('ping'));
seen.nullAsOnlyParam = await attempt(connection.sendRequest('ping', null)); // goes as [null]
seen.unknown = await attempt(connection.sendRequest('session.sendTxt', {}));
const settings = { provider: 'simulator', simulator: { speed: 20 } };
const { sessionId } = await connection.sendRequest('session.start', { agent: { name: 'greeter' }, settings });
const source = new CancellationTokenSource();
const waiting = attempt(connection.sendRequest('session.wait', { sessionId, for: 'closed' }, source.token));
source.cancel();
seen.cancelled = await waiting;
await connection.sendNotification('session.sendText', { sessionId, text: 'one\u2028two\u2029three\u0085four' });
seen.waited = await attempt(connection.sendRequest('session.wait', { sessionId }));
seen.text = told['realtime.itemAdded'].map(({ item }) => item.content?.[0]?.text).find(Boolean);
seen.notifications = Object.keys(told);
seen.shutdown = await attempt(connection.sendRequest('shutdown'));
await connection.sendNotification('exit');
[seen.exitCode] = await ended;
connection.dispose();
process.stdout.write(JSON.stringify(seen));
