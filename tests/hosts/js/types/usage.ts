// What schemas/omnirt.d.ts lets a host write and what it does not. Nothing here runs: `tsc` is the test, and it
// also complains of an expected error that does not come.
import type {
  Calls,
  DaemonMessage,
  ErrorCodes,
  ErrorData,
  HostNotifications,
  Item,
  Methods,
  NotificationMessage,
  Notifications,
  Params,
  RequestMessage,
  ResultOf,
  SessionStartParams,
  WithParams,
} from "../../../../schemas/omnirt.d.ts";

declare function request<M extends keyof Methods>(
  method: M,
  ...rest: {} extends Params<M> ? [params?: Params<M>] : [params: Params<M>]
): Promise<ResultOf<M>>;
declare function on<N extends keyof Notifications>(name: N, handler: (params: Notifications[N]) => void): void;
declare function answer<C extends keyof Calls>(
  name: C,
  handler: (params: Calls[C]["params"]) => Calls[C]["result"] | Promise<Calls[C]["result"]>,
): void;
declare function notify<M extends keyof HostNotifications>(
  message: { method: M } & WithParams<HostNotifications[M]>,
): void;

// ── params ──
export const start: SessionStartParams = {
  agent: {
    name: "guide",
    instructions: "Help.",
    tools: [{ name: "get_weather", run: "host", parameters: { type: "object" }, needs_approval: true }],
    mcp_servers: [{ name: "files", type: "stdio", command: "npx" }],
    handoffs: ["billing", { name: "sales" }],
    output_guardrails: [{ name: "no_prices", deny: ["\\$\\d+"] }],
    // null speaks here: the host commits its turns by hand
    realtime_settings: { voice: "ash", turn_detection: null },
  },
  record: null, // as good as absent
  settings: { provider: "simulator", simulator: { speed: 20 }, reconnect: false },
  realtime: { turn_detection: { type: "semantic_vad", interrupt_response: true } },
  limits: { maxMinutes: 5 },
  devices: { input: "default", output: 0, duplex: "full" },
};
void request("session.start", start);
void request("session.start", { agent: "concierge" });
void request("ping");
void request("session.list", {});
void request("session.sendMessage", {
  sessionId: "s1",
  content: [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", imageUrl: "https://example.org/a.png", detail: "low" },
  ],
});
// @ts-expect-error: there is no such method
void request("session.sendTxt", { sessionId: "s1", text: "Hello" });
// @ts-expect-error: the agent is missing
void request("session.start", {});
// @ts-expect-error: params can't be left out where something is needed
void request("session.get");
// @ts-expect-error: misspelt, which the daemon refuses too
void request("session.start", { agent: "concierge", recrod: "both" });
// @ts-expect-error: what a host sends is one of the known values
void request("session.start", { agent: "concierge", record: "everything" });
// @ts-expect-error: … of the devices too
void request("session.start", { agent: "concierge", devices: { input: 0, duplex: "triplex" } });
// @ts-expect-error: an agent has a name
void request("session.start", { agent: { instructions: "Help." } });
// @ts-expect-error: members of agents are spelt as in their files
void request("session.start", { agent: { name: "guide", realtimeSettings: {} } });
// @ts-expect-error: a position is a number
void request("session.playback", { sessionId: "s1", itemId: "i", contentIndex: 0, playedMs: "120" });
// @ts-expect-error: what is needed can't be null
void request("session.sendText", { sessionId: "s1", text: null });
// @ts-expect-error: audio goes as base64
void request("session.sendAudio", { sessionId: "s1", audio: new Uint8Array(2) });
// @ts-expect-error: an image has a URL
void request("session.sendMessage", { sessionId: "s1", content: [{ type: "input_image", text: "a" }] });

// ── results ──
export async function results(): Promise<number> {
  const { inputAudio, features, provider, devices } = await request("session.start", start);
  // @ts-expect-error: one of a later version is not among these
  const duplex: "half" | "full" | undefined = devices?.duplex;
  const microphone: string | undefined = devices?.input ?? duplex;
  if (microphone === "") return 0;
  if (provider === "simulator" && features.truncate) return inputAudio.sampleRate;
  const { interrupted, heardMs } = await request("session.interrupt", { sessionId: "s1" });
  // @ts-expect-error: `heardMs` may be missing
  const certain: number = heardMs;
  const { files } = await request("session.stop", { sessionId: "s1" });
  // @ts-expect-error: there is no such member
  files[0]?.size;
  return interrupted ? (heardMs ?? 0) : certain;
}

// ── notifications ──
on("realtime.audio", ({ audio, offsetMs, deltaMs }) => Buffer.from(audio, "base64").length + offsetMs + deltaMs);
on("realtime.state", ({ state }) => {
  if (state === "userSpeaking") return;
  // later versions have more states, so this can't be the end of the list
  // @ts-expect-error
  const rest: "connected" | "listening" | "thinking" | "speaking" | "reconnecting" | "closing" = state;
  return rest;
});
on("realtime.toolStart", ({ arguments: given }) => {
  // @ts-expect-error: an object, or a string when it did not parse
  given.city;
});
// @ts-expect-error: there is no such notification
on("realtime.audioStart", () => {});
// @ts-expect-error: nor this member
on("realtime.closed", ({ cause }) => cause);

// ── calls ──
answer("tool.call", async ({ toolName, arguments: given }) => ({ output: `${toolName}: ${String(given["city"])}` }));
answer("tool.approve", ({ timeoutMs }) => ({ decision: timeoutMs > 0 ? "approve" : "reject", always: true }));
// @ts-expect-error: yes is no decision
answer("tool.approve", () => ({ decision: "yes" }));
// @ts-expect-error: the output is missing
answer("tool.call", () => ({}));

// ── what may go without an id ──
notify({ method: "$/cancelRequest", params: { id: 3 } });
notify({ method: "initialized" });
// @ts-expect-error: a start must be answered
notify({ method: "session.start", params: { agent: "concierge" } });
// @ts-expect-error: a cancel names a request
notify({ method: "$/cancelRequest" });

// ── items, errors ──
export function told(item: Item): string {
  const kept = item.interrupted ? item.heardText : item.generatedText;
  // @ts-expect-error: `heardText` may be missing
  const words: string = kept;
  return item.content?.map((part) => part.text ?? part.transcript ?? "").join(" ") ?? words;
}
export function again(error: ErrorData): boolean {
  switch (error.kind) {
    case "agent_invalid":
      return error.path === "$.name";
    case "overloaded":
    case "a kind of a later version":
      return error.retryable;
    default:
      return false;
  }
}
export const codes: Pick<ErrorCodes, "agent_invalid" | "timed_out"> = { agent_invalid: -32021, timed_out: -32050 };
// @ts-expect-error: the code of a kind is fixed
export const wrong: ErrorCodes["timed_out"] = -32000;

// ── whole messages, for a host without a library ──
export const message: RequestMessage = { jsonrpc: "2.0", id: 0, method: "ping", params: null };
// @ts-expect-error: the params of another method
export const mixed: RequestMessage = { jsonrpc: "2.0", id: 0, method: "session.sendText", params: { agent: "a" } };
export function read(line: string): string {
  const heard = JSON.parse(line) as DaemonMessage;
  if (heard.method === undefined) return heard.error ? heard.error.data.kind : typeof heard.result;
  switch (heard.method) {
    case "tool.call":
      return heard.id + heard.params.toolCallId;
    case "realtime.transcriptDone":
      // @ts-expect-error: a transcript has no delta when it is done
      return heard.params.delta;
    case "log.message":
      // @ts-expect-error: this one belongs to no session
      return heard.params.sessionId;
    default:
      return "";
  }
}
export function ofSession({ params }: Exclude<NotificationMessage, { method: "log.message" }>): [string, number] {
  return [params.sessionId, params.seq];
}
