// One spoken conversation with a tool call, held by the stock @openai/agents-realtime; prints what it saw as JSON.
//
// Usage: node talk.mjs URL TOKEN WAV
import { readFileSync } from 'node:fs';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const [url, token, wav] = process.argv.slice(2);
const seen = { types: [], audioBytes: 0, tools: [], errors: [], history: [] };

const getWeather = tool({
  name: 'get_weather',
  description: 'The weather of a city',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    seen.tools.push(city);
    return `It is sunny in ${city}`;
  },
});
const agent = new RealtimeAgent({ name: 'concierge', instructions: 'Be brief.', tools: [getWeather] });
const session = new RealtimeSession(agent, { transport: 'websocket', model: 'gpt-realtime', tracingDisabled: true });
session.on('error', ({ error }) => seen.errors.push(error?.error?.message ?? error?.message ?? String(error)));
session.on('audio', (event) => (seen.audioBytes += event.data.byteLength));

// the answer to the question is a tool call, and the answer to the tool's output ends the talk
let responses = 0;
const done = new Promise((resolve) => {
  session.transport.on('*', (event) => {
    seen.types.push(event.type);
    if (event.type === 'response.done' && ++responses === 2) resolve();
  });
});

await session.connect({ apiKey: token, url });
const pcm = readFileSync(wav).subarray(44);
for (let at = 0; at < pcm.length; at += 960) {
  const piece = pcm.subarray(at, at + 960);
  session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.byteLength));
}
await done;
seen.history = session.history.map((item) => ({
  type: item.type,
  role: item.role,
  text: item.content?.map((part) => part.transcript ?? part.text).join(' '),
  output: item.output,
}));
session.close();
process.stdout.write(JSON.stringify(seen));
