// Types of the omnirt wire protocol, version 1, for hosts in TypeScript and in JavaScript with JSDoc.
// Made from the tables of the daemon by `omnirt schema typescript`; docs/PROTOCOL.md tells the rules.
//
// A member with `?` may be missing. In what a host sends it may be null as well, which means the same, except
// inside `agent`, `settings` and `realtime`, where null speaks. Later versions add members, notifications,
// calls and values: a host lets pass what it does not know, as `Open` reminds it, and answers unknown calls
// with -32601.

/** One of the known values, or one that a later version adds. */
export type Open<Known extends string> = Known | (string & {});

/** Bytes in base64: `Buffer.from(audio, "base64")`, `bytes.toString("base64")`. */
export type Base64 = string;

/** Requests of a host by name. */
export interface Methods {
  /** Says who the host is and learns what the daemon offers. */
  "initialize": { params: InitializeParams; result: InitializeResult };
  /** Answers at once. */
  "ping": { params: NoParams; result: Empty };
  /** Closes every session and flushes storage; only `exit` is legal after it. */
  "shutdown": { params: NoParams; result: Empty };
  /** Ends the process: code 0 after `shutdown`, else 1. */
  "exit": { params: NoParams; result: Empty };
  /** The OpenRPC document, the same as schemas/openrpc.json. */
  "rpc.discover": { params: NoParams; result: Result };
  /** Uptime, memory, sessions, queues. */
  "server.stats": { params: NoParams; result: ServerStatsResult };
  /** Starts a session; answered once connected. */
  "session.start": { params: SessionStartParams; result: SessionStartResult };
  /** Queues audio; `commit: true` ends the turn and asks for a response. */
  "session.sendAudio": { params: SessionSendAudioParams; result: SessionSendAudioResult };
  /** Sends a user text and asks for a response unless `respond: false`. */
  "session.sendText": { params: SessionSendTextParams; result: Empty };
  /** Sends a user or system message of text and images. */
  "session.sendMessage": { params: SessionSendMessageParams; result: Empty };
  /** Asks for a response: the agent speaks first. */
  "session.respond": { params: SessionRespondParams; result: Empty };
  /** Drops uncommitted input audio. */
  "session.clearAudio": { params: SessionParams; result: Empty };
  /** Cancels the response and cuts what is playing. */
  "session.interrupt": { params: SessionInterruptParams; result: SessionInterruptResult };
  /** Reports how far the host's speaker is. */
  "session.playback": { params: SessionPlaybackParams; result: Empty };
  /** Swaps the active agent, its variables or its settings. */
  "session.update": { params: SessionUpdateParams; result: Empty };
  /** Waits until the session is idle, or closed. */
  "session.wait": { params: SessionWaitParams; result: SessionWaitResult };
  /** One live session. */
  "session.get": { params: SessionParams; result: SessionInfo };
  /** All live sessions. */
  "session.list": { params: NoParams; result: SessionListResult };
  /** Ends a session. */
  "session.stop": { params: SessionStopParams; result: SessionStopResult };
  /** The agents that can be started by name. */
  "agent.list": { params: NoParams; result: AgentListResult };
  /** All that would keep an agent from being started. */
  "agent.validate": { params: AgentValidateParams; result: AgentValidateResult };
  /** Stored sessions, the newest first. */
  "history.list": { params: HistoryListParams; result: HistoryListResult };
  /** The items and files of a stored session. */
  "history.get": { params: HistoryGetParams; result: HistoryGetResult };
  /** Deletes a session that is not live. */
  "history.delete": { params: HistoryDeleteParams; result: HistoryDeleteResult };
  /** A stretch of a recording, as it is stored. */
  "audio.read": { params: AudioReadParams; result: AudioReadResult };
  /** Writes an item, or a conversation in stereo, as a WAV file. */
  "audio.export": { params: AudioExportParams; result: AudioExportResult };
}

/** What a host may send without an id, to get no answer; what goes wrong is told in `realtime.error`. */
export interface HostNotifications {
  /** Accepted, means nothing. */
  "initialized": NoParams;
  /** Answers at once. */
  "ping": NoParams;
  /** Closes every session and flushes storage; only `exit` is legal after it. */
  "shutdown": NoParams;
  /** Ends the process: code 0 after `shutdown`, else 1. */
  "exit": NoParams;
  /** The request is answered -32800 unless done. */
  "$/cancelRequest": CancelParams;
  /** The OpenRPC document, the same as schemas/openrpc.json. */
  "rpc.discover": NoParams;
  /** Uptime, memory, sessions, queues. */
  "server.stats": NoParams;
  /** Queues audio; `commit: true` ends the turn and asks for a response. */
  "session.sendAudio": SessionSendAudioParams;
  /** Sends a user text and asks for a response unless `respond: false`. */
  "session.sendText": SessionSendTextParams;
  /** Sends a user or system message of text and images. */
  "session.sendMessage": SessionSendMessageParams;
  /** Asks for a response: the agent speaks first. */
  "session.respond": SessionRespondParams;
  /** Drops uncommitted input audio. */
  "session.clearAudio": SessionParams;
  /** Cancels the response and cuts what is playing. */
  "session.interrupt": SessionInterruptParams;
  /** Reports how far the host's speaker is. */
  "session.playback": SessionPlaybackParams;
  /** Swaps the active agent, its variables or its settings. */
  "session.update": SessionUpdateParams;
  /** Waits until the session is idle, or closed. */
  "session.wait": SessionWaitParams;
  /** Ends a session. */
  "session.stop": SessionStopParams;
}

/** Notifications of the daemon by name. */
export interface Notifications {
  /**
   * The state of the talk changed; `connected` is the first event of a run. With `reconnecting`: which attempt it
   * is, from 1, in how long it is made, and why. With the `connected` after it: which one succeeded, how long
   * there was no connection, whether the model knows the whole talk.
   */
  "realtime.state": RealtimeState;
  /** A chunk of the agent's speech; `offsetMs` is its place in the item's part, `deltaMs` its length. */
  "realtime.audio": RealtimeAudio;
  /** No more audio of this part; `file` is where it was stored. */
  "realtime.audioEnd": RealtimeAudioEnd;
  /** The host empties its player: the user heard `heardMs` of the `generatedMs` of this part. */
  "realtime.audioInterrupted": RealtimeAudioInterrupted;
  /** A piece of the transcript of speech. */
  "realtime.transcriptDelta": RealtimeTranscriptDelta;
  /**
   * The whole transcript, authoritative; `heardText` when it is known already what of it was heard. `error` when
   * the transcription failed.
   */
  "realtime.transcriptDone": RealtimeTranscriptDone;
  /** A piece of text output. */
  "realtime.textDelta": RealtimeTextDelta;
  /** The whole text, authoritative. */
  "realtime.textDone": RealtimeTextDone;
  /** A new item of the conversation. */
  "realtime.itemAdded": RealtimeItemAdded;
  /** An item changed; only the changed one is sent. */
  "realtime.itemUpdated": RealtimeItemUpdated;
  /** An item is gone from the conversation. */
  "realtime.itemRemoved": RealtimeItemRemoved;
  /** The provider began a response. */
  "realtime.responseStart": RealtimeResponseStart;
  /** A response ended; a failed one says why. */
  "realtime.responseEnd": RealtimeResponseEnd;
  /** A tool runs; `arguments` is an object when they parse, else the string. */
  "realtime.toolStart": RealtimeToolStart;
  /** A tool ended; `output` is what the model was told. */
  "realtime.toolEnd": RealtimeToolEnd;
  /** It was decided whether a tool may run; `by` says who decided. */
  "realtime.toolApprovalResolved": RealtimeToolApprovalResolved;
  /** An agent began to answer. */
  "realtime.agentStart": RealtimeAgentStart;
  /** The agent's answer ended. */
  "realtime.agentEnd": RealtimeAgentEnd;
  /** The conversation went from one agent to another. */
  "realtime.handoff": RealtimeHandoff;
  /** An answer broke output guardrails: its unheard rest is not played, another follows. */
  "realtime.guardrailTripped": RealtimeGuardrailTripped;
  /** The user began to speak. */
  "realtime.inputSpeechStart": RealtimeInputSpeechStart;
  /** The user stopped speaking. */
  "realtime.inputSpeechEnd": RealtimeInputSpeechEnd;
  /** Nobody spoke for the idle time of the turn detection. */
  "realtime.inputTimeout": RealtimeInputTimeout;
  /** A server of tools is starting, ready, failed (`error` says why) or closed. */
  "realtime.mcpStatus": RealtimeMcpStatus;
  /** Running totals of the session, the members of `Usage`. */
  "realtime.usage": RealtimeUsage;
  /** Audio that a slow host (`output`), provider (`input`) or disk (`storage`) could not take. */
  "realtime.flow": RealtimeFlow;
  /** Something went wrong; most are not fatal and the talk goes on. */
  "realtime.error": RealtimeError;
  /** The session is over; always the last event. */
  "realtime.closed": RealtimeClosed;
  /** The provider's event as it came; only with `raw: true`. */
  "realtime.raw": RealtimeRaw;
  /** For the user's eyes; belongs to no session. */
  "log.message": LogMessage;
}

/** What the daemon asks of a host, by name. */
export interface Calls {
  /** Runs a host tool; an error reply is told to the model in words. */
  "tool.call": { params: ToolCallParams; result: ToolCallResult };
  /** Asks whether a tool may run; an error reply, or none in time, is a no. */
  "tool.approve": { params: ToolApproveParams; result: ToolApproveResult };
}

/** The code of each kind of error. */
export interface ErrorCodes {
  /** The bytes are no JSON message */
  "parse_error": -32700;
  /** The JSON is no JSON-RPC 2.0 request */
  "invalid_request": -32600;
  /** The message is longer than limits.maxMessageBytes */
  "message_too_large": -32600;
  /** There is no such method */
  "method_not_found": -32601;
  /** The params do not fit; data.path says where */
  "invalid_params": -32602;
  /** A fault of the daemon; data.logId is found on stderr */
  "internal": -32603;
  /** The request was cancelled */
  "cancelled": -32800;
  /** The daemon is ending */
  "shutting_down": -32000;
  /** A bounded queue is full, or no file descriptor is left; nothing of this request was taken */
  "overloaded": -32001;
  /** No live session has this id */
  "session_not_found": -32010;
  /** A live session has this id already */
  "session_exists": -32011;
  /** The session is closing, or the method does not fit its state */
  "session_state": -32012;
  /** A limit of sessions, time or tokens is reached */
  "session_limit": -32013;
  /** No agent has this name */
  "agent_not_found": -32020;
  /** The agent spec is wrong; data.path says where */
  "agent_invalid": -32021;
  /** No endpoint: a key or a URL is missing */
  "endpoint_unresolved": -32030;
  /** The provider refused the key */
  "auth_failed": -32031;
  /** The provider cannot be reached */
  "provider_unreachable": -32032;
  /** The provider answered with an error */
  "provider_error": -32033;
  /** A required MCP server failed */
  "mcp_server_failed": -32034;
  /** Something could not be stored or read */
  "storage_failed": -32040;
  /** Nothing is stored under this id */
  "not_found": -32041;
  /** The audio does not fit the session's format */
  "audio_invalid": -32042;
  /** A microphone or loudspeaker can't be used, or is gone */
  "device_failed": -32043;
  /** The time limit ran out */
  "timed_out": -32050;
}

/** An agent that `session.start` finds by its name, and its file. */
export interface AgentEntry {
  name: string;
  path: string;
  description?: string;
}

/** `agent.list`: by name; files with problems are not in it. */
export interface AgentListResult {
  agents: Array<AgentEntry>;
}

/** What would keep an agent from being started: where, in which file, in which line if that is known. */
export interface AgentProblem {
  path: string;
  message: string;
  file?: string;
  line?: number;
}

/** One agent. */
export interface AgentSpec {
  /** How it is called in events, handoffs and history. */
  name: string;
  /** Told to the other agents that may hand over to it. */
  description?: string;
  /** Jinja2 template, rendered at the start of a session. */
  instructions?: string | null;
  /** In a file only: the template's path, inside the folder of the spec. */
  instructions_file?: string | null;
  /** Template variables; those of session.start come before them. */
  variables?: { [name: string]: unknown };
  /** More names for the template, below the variables, and as a whole under `context`. */
  context?: { [name: string]: unknown } | null;
  /** Python callable `package.module:name` that makes the context of the variables. */
  build_context?: string | null;
  /** Always true: this daemon holds voice sessions only. Default: true. */
  realtime_mode?: true;
  /** Model, voice, formats, turn detection. */
  realtime_settings?: RealtimeSettings;
  /** What the agent can do. */
  tools?: Array<Tool>;
  /** Servers of more tools. */
  mcp_servers?: Array<StdioServer | HttpServer | SseServer>;
  /** How their tools are shown. */
  mcp_config?: McpConfig;
  /** Agents it can hand over to, by name or inline. Cycles are allowed. */
  handoffs?: Array<string | AgentSpec>;
  /** What its answers must not say: patterns, or a Python callable each. */
  output_guardrails?: Array<string | Guardrail>;
  /**
   * What becomes of an answer that says it: `interrupt` cuts what is not heard yet; `holdback` keeps the audio of
   * each sentence back until its text has passed. Default: "interrupt".
   */
  guardrail?: "holdback" | "interrupt";
  /** How much text must be new before the guardrails run again, in characters. Default: 100. */
  guardrail_debounce_chars?: number;
  /** What becomes of tools that need approval when the host can't be asked. Default: "reject". */
  approval_policy?: "approve" | "reject";
  /** Folder of its history. Default: "default". */
  project_slug?: string;
  /** Folder below that; by default the slug of the name. */
  agent_slug?: string | null;
}

/** `agent.validate`: an agent as `session.start` takes it. */
export interface AgentValidateParams {
  agent: string | AgentSpec;
  _meta?: unknown;
}

/** `agent.validate`: all problems of the agent and of those it hands over to. */
export interface AgentValidateResult {
  valid: boolean;
  problems: Array<AgentProblem>;
}

/** Audio settings in the provider's nested spelling; they beat the flat names of the same document. */
export interface Audio {
  input?: AudioInput | null;
  output?: AudioOutput | null;
}

/** `audio.export`: without `itemId` the whole conversation, of the run `runId` or of all. */
export interface AudioExportParams {
  sessionId: string;
  path: string;
  itemId?: string | null;
  overwrite?: boolean | null;
  runId?: string | null;
  _meta?: unknown;
}

/** `audio.export`. */
export interface AudioExportResult {
  path: string;
  durationMs: number;
  channels: number;
}

/** A WAV file that a session left; its audio begins at `atMs` of the run's clock. */
export interface AudioFileInfo {
  path: string;
  side: Open<"assistant" | "host">;
  itemId?: string;
  contentIndex?: number;
  atMs?: number;
  durationMs: number;
}

/** The user's side, in the provider's nested spelling. */
export interface AudioInput {
  format?: "audio/pcm" | "audio/pcma" | "audio/pcmu" | "g711_alaw" | "g711_ulaw" | "pcm" | "pcm16" | "pcma" | "pcmu" | FormatObject | null;
  noise_reduction?: NoiseReduction | null;
  transcription?: Transcription | null;
  turn_detection?: SemanticVad | ServerVad | null;
}

/** The assistant's side, in the provider's nested spelling. */
export interface AudioOutput {
  format?: "audio/pcm" | "audio/pcma" | "audio/pcmu" | "g711_alaw" | "g711_ulaw" | "pcm" | "pcm16" | "pcma" | "pcmu" | FormatObject | null;
  voice?: string | CustomVoice | null;
  speed?: number | null;
}

/**
 * `audio.read`: a stretch of the audio of an item; of the host's side when `itemId` is empty. Without `runId` it
 * is that of the last run that has any.
 */
export interface AudioReadParams {
  sessionId: string;
  itemId: string;
  contentIndex?: number | null;
  /** Milliseconds */
  offsetMs?: number | null;
  /** Milliseconds */
  lengthMs?: number | null;
  runId?: string | null;
  _meta?: unknown;
}

/** `audio.read`: audio in the format it is stored in, and what stretch of the whole it is. */
export interface AudioReadResult {
  audio: Base64;
  format: Open<"g711_alaw" | "g711_ulaw" | "pcm16">;
  sampleRate: number;
  offsetMs: number;
  lengthMs: number;
  totalMs: number;
}

/** Format and sample rate (Hz) of one direction of a session, always mono. */
export interface AudioSpec {
  format: Open<"g711_alaw" | "g711_ulaw" | "pcm16">;
  sampleRate: number;
}

/** The id of the request to cancel, any JSON-RPC id. */
export interface CancelParams {
  id: unknown;
  _meta?: unknown;
}

/** Who the host is, for the log. */
export interface ClientInfo {
  name: string;
  version?: string | null;
}

/** `settings` of session.start, and the configuration file. A member that is null hides its variable. */
export interface ConnectionSettings {
  provider?: "azure" | "compatible" | "local" | "openai" | "simulator" | null;
  openai_api_key?: string | null;
  api_key?: string | null;
  openai_realtime_url?: string | null;
  openai_realtime_base_url?: string | null;
  openai_base_url?: string | null;
  openai_realtime_model?: string | null;
  azure_openai_endpoint?: string | null;
  azure_openai_deployment_name?: string | null;
  openai_realtime_deployment?: string | null;
  azure_openai_api_version?: string | null;
  headers?: { [name: string]: unknown } | null;
  extra_headers?: { [name: string]: unknown } | null;
  openai_headers?: { [name: string]: unknown } | null;
  openai_extra_headers?: { [name: string]: unknown } | null;
  openai_realtime_force_api_key_header?: boolean | number | string | null;
  openai_realtime_api_key_in_query?: boolean | number | string | null;
  azure_openai_use_entra?: boolean | number | string | null;
  simulator?: SimulatorSettings | null;
  local?: LocalSettings | null;
  tracing?: boolean | TracingSettings | null;
  reconnect?: boolean | ReconnectSettings | null;
}

/** One part of a message item; never holds audio or image bytes. */
export interface ContentPart {
  type: Open<"audio" | "image" | "text">;
  text?: string;
  transcript?: string;
}

/** A voice made for the account. */
export interface CustomVoice {
  id: string;
}

/**
 * A microphone and a loudspeaker of the daemon's machine: a name or a part of it, a number, or "default". While
 * the agent is heard, a `half` duplex session sends silence upstream, lest the agent hears itself; `full` is for
 * headsets, and devices that cancel the echo.
 */
export interface Devices {
  input?: string | number | null;
  output?: string | number | null;
  duplex?: "full" | "half" | null;
}

/** The names of the devices that a session has, and how it goes about them. */
export interface DevicesInUse {
  input?: string;
  output?: string;
  duplex: Open<"full" | "half">;
}

/** The result `{}`. */
export type Empty = { [member: string]: unknown };

/** A response that ended since the last wait, with its text or the transcript of its speech. */
export interface EndedResponse {
  responseId: string;
  status: Open<"cancelled" | "completed" | "failed" | "incomplete">;
  text: string;
}

/** An error inside an event. */
export interface ErrorInfo {
  kind: Open<ErrorKind>;
  message: string;
  code?: string;
}

/** What the endpoint of a session can do. */
export interface Features {
  interrupt: boolean;
  truncate: boolean;
  commit: boolean;
  text: boolean;
  images: boolean;
  update: boolean;
}

/** A format in the provider's own spelling. The rate is fixed by the type. */
export interface FormatObject {
  type: "audio/pcm" | "audio/pcma" | "audio/pcmu";
  rate?: number | null;
}

/** Makes the model call one tool. */
export interface FunctionChoice {
  type: "function";
  name: string;
}

/** What an answer must not say. */
export interface Guardrail {
  /** How it is called in `realtime.guardrailTripped`. */
  name: string;
  /** Regular expressions (Python's), searched in the text of the answer. */
  deny: Array<string>;
}

/** `history.delete`. */
export interface HistoryDeleteParams {
  sessionId: string;
  _meta?: unknown;
}

/** `history.delete`: what is gone. */
export interface HistoryDeleteResult {
  deletedRows: number;
  deletedFiles: number;
}

/** `history.get`: the items of all runs, the oldest first. */
export interface HistoryGetParams {
  sessionId: string;
  /** A page has no more; it may have fewer */
  limit?: number | null;
  /** `nextCursor` of the page before */
  cursor?: string | null;
  _meta?: unknown;
}

/** `history.get`: a page of the items, and the files of the same stretch of time. */
export interface HistoryGetResult {
  session: StoredSession;
  items: Array<StoredItem>;
  audio: Array<StoredAudio>;
  nextCursor?: string;
}

/** `history.list`: the newest sessions first; `query` finds those with an item that has all its words. */
export interface HistoryListParams {
  projectSlug?: string | null;
  agentSlug?: string | null;
  query?: string | null;
  /** A page has no more; it may have fewer */
  limit?: number | null;
  /** `nextCursor` of the page before */
  cursor?: string | null;
  _meta?: unknown;
}

/** `history.list`. */
export interface HistoryListResult {
  sessions: Array<StoredSession>;
  nextCursor?: string;
}

/** Which calls the host answers. */
export interface HostCapabilities {
  tools?: boolean | null;
  approvals?: boolean | null;
}

/** A server behind a URL, over streamable HTTP. */
export interface HttpServer {
  type: "http";
  name: string;
  allowed_tools?: Array<string> | null;
  denied_tools?: Array<string>;
  /** Default: false. */
  needs_approval?: boolean | Array<string>;
  /** Default: false. */
  required?: boolean;
  /** Default: 10.0. */
  connect_timeout_s?: number;
  /** Default: 30.0. */
  timeout_s?: number;
  /** Where it is. */
  url: string;
  /** Sent with every request. */
  headers?: { [name: string]: string };
}

/** Unknown members are ignored here, and only here. */
export interface InitializeParams {
  protocolVersion?: unknown;
  clientInfo?: ClientInfo | null;
  processId?: number | null;
  capabilities?: HostCapabilities | null;
  optOutNotifications?: Array<string> | null;
}

/** The answer to `initialize`. */
export interface InitializeResult {
  protocolVersion: number;
  serverInfo: ServerInfo;
  capabilities: ServerCapabilities;
  limits: Limits;
}

/** An image of a message: an https or data URL. */
export interface InputImage {
  type: "input_image";
  imageUrl: string;
  detail?: "auto" | "high" | "low" | null;
}

/** Text of a message. */
export interface InputText {
  type: "input_text";
  text: string;
}

/** Input tokens by kind; counts the provider does not give are absent. */
export interface InputTokens {
  text?: number;
  audio?: number;
  image?: number;
  cached?: number;
}

/** One entry of a conversation. `atMs` counts from the start of the run. */
export interface Item {
  itemId: string;
  type: Open<"functionCall" | "functionCallOutput" | "message">;
  role?: Open<"assistant" | "system" | "user">;
  status: Open<"completed" | "inProgress" | "incomplete">;
  content?: Array<ContentPart>;
  toolCallId?: string;
  toolName?: string;
  arguments?: unknown;
  output?: unknown;
  generatedText?: string;
  heardText?: string;
  heardMs?: number;
  interrupted?: boolean;
  atMs: number;
}

/** Where the time of a response went, in ms; absent where it does not apply. */
export interface Latency {
  speechEndToFirstAudioMs?: number;
  requestToFirstAudioMs?: number;
  firstAudioToHostMs?: number;
}

/** The bounds a host should know: message size, live sessions, queued input, queued output. */
export interface Limits {
  maxMessageBytes: number;
  maxSessions: number;
  inputQueueMs: number;
  outputQueueBytes: number;
}

/** How one live session is doing; `droppedAudioMs` is what the host was too slow to take. */
export interface LiveSession {
  sessionId: string;
  runId: string;
  state: Open<"closing" | "connected" | "listening" | "reconnecting" | "speaking" | "starting" | "thinking" | "userSpeaking">;
  queues: Queues;
  droppedAudioMs: number;
  reconnects: number;
}

/** How the provider on this machine hears, thinks and speaks, and which services do it in its place. */
export interface LocalSettings {
  chat_base_url?: string | null;
  chat_model?: string | null;
  chat_api_key?: string | null;
  transcription_base_url?: string | null;
  transcription_model?: string | null;
  transcription_api_key?: string | null;
  speech_base_url?: string | null;
  speech_model?: string | null;
  speech_api_key?: string | null;
  voice?: string | null;
  /** Default: 60.0. */
  service_timeout_s?: number;
  script?: string | { [name: string]: unknown } | null;
  /** Default: "auto". */
  detector?: "auto" | "floor" | "silero";
  /** Default: "auto". */
  synthesiser?: "auto" | "espeak-ng" | "hibari";
  model_dir?: string | null;
  /** Default: "tiny". */
  model_size?: "base" | "tiny";
  /** Default: false. */
  download?: boolean;
}

/** For the user's eyes; belongs to no session. */
export interface LogMessage {
  level: Open<"debug" | "error" | "info" | "warning">;
  message: string;
}

/** How the tools of all servers are shown to the model. */
export interface McpConfig {
  /** Whether names begin with the server's, so that none clash. Default: false. */
  include_server_in_tool_names?: boolean;
  /** Whether the schemas of arguments are made strict where they can be. Default: false. */
  convert_schemas_to_strict?: boolean;
}

/** No members. */
export interface NoParams {
  _meta?: unknown;
}

/** Filters the user's audio before turn detection and the model hear it. */
export interface NoiseReduction {
  type: "far_field" | "near_field";
}

/** Output tokens by kind. */
export interface OutputTokens {
  text?: number;
  audio?: number;
}

/** A prompt stored at the provider. */
export interface PromptReference {
  id: string;
  version?: string | null;
  variables?: { [name: string]: unknown } | null;
}

/** What waits in a session: host audio not yet upstream, inputs, notification bytes to the host. */
export interface Queues {
  inputMs: number;
  inputs: number;
  outputBytes: number;
}

/** The agent's answer ended. */
export interface RealtimeAgentEnd {
  agent: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** An agent began to answer. */
export interface RealtimeAgentStart {
  agent: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A chunk of the agent's speech; `offsetMs` is its place in the item's part, `deltaMs` its length. */
export interface RealtimeAudio {
  responseId: string;
  itemId: string;
  contentIndex: number;
  audio: Base64;
  offsetMs: number;
  deltaMs: number;
  audioFormat: Open<"g711_alaw" | "g711_ulaw" | "pcm16">;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** No more audio of this part; `file` is where it was stored. */
export interface RealtimeAudioEnd {
  itemId: string;
  contentIndex: number;
  totalMs: number;
  file?: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The host empties its player: the user heard `heardMs` of the `generatedMs` of this part. */
export interface RealtimeAudioInterrupted {
  itemId: string;
  contentIndex: number;
  wasPlaying: boolean;
  heardMs: number;
  generatedMs: number;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The session is over; always the last event. */
export interface RealtimeClosed {
  reason: Open<"connectionLost" | "content" | "error" | "expired" | "hostGone" | "limit" | "shutdown" | "stopped">;
  error?: ErrorInfo;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** Something went wrong; most are not fatal and the talk goes on. */
export interface RealtimeError {
  kind: Open<ErrorKind>;
  message: string;
  retryable: boolean;
  fatal: boolean;
  upstream?: Upstream;
  method?: string;
  count?: number;
  path?: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** Audio that a slow host (`output`), provider (`input`) or disk (`storage`) could not take. */
export interface RealtimeFlow {
  direction: Open<"input" | "output" | "storage">;
  lost: boolean;
  droppedMs: number;
  queuedBytes: number;
  itemId?: string;
  fromMs?: number;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** An answer broke output guardrails: its unheard rest is not played, another follows. */
export interface RealtimeGuardrailTripped {
  guardrails: Array<string>;
  message: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The conversation went from one agent to another. */
export interface RealtimeHandoff {
  fromAgent: string;
  toAgent: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The user stopped speaking. */
export interface RealtimeInputSpeechEnd {
  itemId?: string;
  audioMs?: number;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The user began to speak. */
export interface RealtimeInputSpeechStart {
  itemId?: string;
  audioMs?: number;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** Nobody spoke for the idle time of the turn detection. */
export interface RealtimeInputTimeout {
  itemId?: string;
  audioMs?: number;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A new item of the conversation. */
export interface RealtimeItemAdded {
  item: Item;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** An item is gone from the conversation. */
export interface RealtimeItemRemoved {
  itemId: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** An item changed; only the changed one is sent. */
export interface RealtimeItemUpdated {
  item: Item;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A server of tools is starting, ready, failed (`error` says why) or closed. */
export interface RealtimeMcpStatus {
  server: string;
  status: Open<"closed" | "failed" | "ready" | "starting">;
  tools?: Array<string>;
  error?: ErrorInfo;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The provider's event as it came; only with `raw: true`. */
export interface RealtimeRaw {
  event: unknown;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A response ended; a failed one says why. */
export interface RealtimeResponseEnd {
  responseId: string;
  status: Open<"cancelled" | "completed" | "failed" | "incomplete">;
  reason?: string;
  error?: ErrorInfo;
  usage?: Usage;
  latency?: Latency;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The provider began a response. */
export interface RealtimeResponseStart {
  responseId: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/**
 * What `realtime_settings` of an agent and `realtime` of a session may hold. All optional. Null turns
 * `turn_detection` (the host commits by hand), `input_audio_transcription` and `input_audio_noise_reduction`
 * off, and puts every other member back to its default.
 */
export interface RealtimeSettings {
  model_name?: string | null;
  voice?: string | CustomVoice | null;
  modalities?: Array<"audio" | "text"> | null;
  output_modalities?: Array<"audio" | "text"> | null;
  speed?: number | null;
  max_output_tokens?: number | "inf" | null;
  input_audio_format?: "audio/pcm" | "audio/pcma" | "audio/pcmu" | "g711_alaw" | "g711_ulaw" | "pcm" | "pcm16" | "pcma" | "pcmu" | FormatObject | null;
  output_audio_format?: "audio/pcm" | "audio/pcma" | "audio/pcmu" | "g711_alaw" | "g711_ulaw" | "pcm" | "pcm16" | "pcma" | "pcmu" | FormatObject | null;
  turn_detection?: SemanticVad | ServerVad | null;
  input_audio_transcription?: Transcription | null;
  input_audio_noise_reduction?: NoiseReduction | null;
  tool_choice?: "auto" | "none" | "required" | FunctionChoice | null;
  parallel_tool_calls?: boolean | null;
  reasoning?: Reasoning | null;
  prompt?: PromptReference | null;
  audio?: Audio | null;
}

/**
 * The state of the talk changed; `connected` is the first event of a run. With `reconnecting`: which attempt it
 * is, from 1, in how long it is made, and why. With the `connected` after it: which one succeeded, how long
 * there was no connection, whether the model knows the whole talk.
 */
export interface RealtimeState {
  state: Open<"closing" | "connected" | "listening" | "reconnecting" | "speaking" | "thinking" | "userSpeaking">;
  attempt?: number;
  delayMs?: number;
  cause?: Open<"connectionLost" | "expired" | "expiring">;
  gapMs?: number;
  restored?: boolean;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A piece of text output. */
export interface RealtimeTextDelta {
  itemId: string;
  contentIndex: number;
  role: Open<"assistant" | "user">;
  delta: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** The whole text, authoritative. */
export interface RealtimeTextDone {
  itemId: string;
  contentIndex: number;
  role: Open<"assistant" | "user">;
  text: string;
  error?: ErrorInfo;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** It was decided whether a tool may run; `by` says who decided. */
export interface RealtimeToolApprovalResolved {
  toolCallId: string;
  decision: Open<"approve" | "reject">;
  by: Open<"host" | "policy" | "timeout">;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A tool ended; `output` is what the model was told. */
export interface RealtimeToolEnd {
  toolCallId: string;
  toolName: string;
  arguments: unknown;
  output: unknown;
  status: Open<"completed" | "failed" | "rejected" | "timedOut">;
  durationMs: number;
  error?: ErrorInfo;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A tool runs; `arguments` is an object when they parse, else the string. */
export interface RealtimeToolStart {
  toolCallId: string;
  toolName: string;
  arguments: unknown;
  agent: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** A piece of the transcript of speech. */
export interface RealtimeTranscriptDelta {
  itemId: string;
  contentIndex: number;
  role: Open<"assistant" | "user">;
  delta: string;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/**
 * The whole transcript, authoritative; `heardText` when it is known already what of it was heard. `error` when
 * the transcription failed.
 */
export interface RealtimeTranscriptDone {
  itemId: string;
  contentIndex: number;
  role: Open<"assistant" | "user">;
  text: string;
  heardText?: string;
  error?: ErrorInfo;
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
}

/** Running totals of the session, the members of `Usage`. */
export interface RealtimeUsage {
  sessionId: string;
  runId: string;
  seq: number;
  atMs: number;
  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
  input: InputTokens;
  output: OutputTokens;
  seconds?: number;
}

/** How much a reasoning model thinks. */
export interface Reasoning {
  effort: "high" | "low" | "medium" | "minimal" | "xhigh";
}

/** How often, how patiently and how long a lost connection is opened anew. */
export interface ReconnectSettings {
  /** Default: 10. */
  attempts?: number;
  /** Default: 10000. */
  max_delay_ms?: number;
  /** Default: 120000. */
  deadline_ms?: number;
}

/** Base of every result: a JSON object, members at their default left out. */
export type Result = { [member: string]: unknown };

/** The rate in Hz that a host asks for a direction; from the provider's, the daemon resamples. */
export interface SampleRate {
  sampleRate: 8000 | 16000 | 24000 | 48000;
}

/** Turn detection that listens to what is said. */
export interface SemanticVad {
  type: "semantic_vad";
  eagerness?: "auto" | "high" | "low" | "medium";
  create_response?: boolean;
  interrupt_response?: boolean;
}

/** What this daemon offers, as arrays of names. */
export interface ServerCapabilities {
  methods: Array<string>;
  notifications: Array<string>;
  calls: Array<string>;
  providers: Array<string>;
}

/** Name and version of the daemon. */
export interface ServerInfo {
  name: string;
  version: string;
}

/**
 * Figures for operators. `queues` has bytes or counts by name; `tasks` counts those of asyncio; `threads` and
 * `descriptors` are those of the process, `reconnects` those of all sessions so far.
 */
export interface ServerStatsResult {
  uptimeMs: number;
  pid: number;
  rssBytes: number;
  sessions: number;
  queues: { [name: string]: number };
  droppedAudioMs: number;
  tasks: number;
  threads: number;
  reconnects: number;
  storage: StorageBacklog;
  live: Array<LiveSession>;
  descriptors?: number;
}

/** Turn detection by loudness and silence. */
export interface ServerVad {
  type: "server_vad";
  threshold?: number;
  prefix_padding_ms?: number;
  silence_duration_ms?: number;
  idle_timeout_ms?: number | null;
  create_response?: boolean;
  interrupt_response?: boolean;
}

/** A live session as `session.get` and `session.list` tell it. */
export interface SessionInfo {
  sessionId: string;
  runId: string;
  state: Open<"closing" | "connected" | "listening" | "reconnecting" | "speaking" | "starting" | "thinking" | "userSpeaking">;
  agent: string;
  startedAt: string;
  queues: Queues;
  usage: Usage;
}

/** `session.interrupt`: `playedMs` says how far the host's speaker is in the item. */
export interface SessionInterruptParams {
  sessionId: string;
  itemId?: string | null;
  contentIndex?: number | null;
  /** Milliseconds */
  playedMs?: number | null;
  _meta?: unknown;
}

/** Whether a response was cancelled or an item cut; which, and how much of it was heard. */
export interface SessionInterruptResult {
  interrupted: boolean;
  itemId?: string;
  heardMs?: number;
}

/** When the daemon ends a session by itself: after so long, so much silence, or so many tokens. */
export interface SessionLimits {
  maxMinutes?: number | null;
  idleMinutes?: number | null;
  maxTotalTokens?: number | null;
}

/** `session.list`. */
export interface SessionListResult {
  sessions: Array<SessionInfo>;
}

/** Params that name a session and nothing else. */
export interface SessionParams {
  sessionId: string;
  _meta?: unknown;
}

/** `session.playback`: a position, not an increment. */
export interface SessionPlaybackParams {
  sessionId: string;
  itemId: string;
  contentIndex: number;
  /** Milliseconds */
  playedMs: number;
  _meta?: unknown;
}

/** `session.respond`. */
export interface SessionRespondParams {
  sessionId: string;
  instructions?: string | null;
  _meta?: unknown;
}

/** `session.sendAudio`: base64 of the session's input format. */
export interface SessionSendAudioParams {
  sessionId: string;
  audio: Base64;
  commit?: boolean | null;
  _meta?: unknown;
}

/** What was taken of this chunk, and what waits to go upstream, in ms. */
export interface SessionSendAudioResult {
  acceptedMs: number;
  queuedMs: number;
}

/** `session.sendMessage`. */
export interface SessionSendMessageParams {
  sessionId: string;
  content: Array<InputText | InputImage>;
  role?: "system" | "user" | null;
  respond?: boolean | null;
  _meta?: unknown;
}

/** `session.sendText`. */
export interface SessionSendTextParams {
  sessionId: string;
  text: string;
  respond?: boolean | null;
  _meta?: unknown;
}

/** `session.start`. */
export interface SessionStartParams {
  agent: string | AgentSpec;
  /** Chosen by the host, 1 to 128 of A-Z a-z 0-9 . _ -, not '.' or '..' */
  sessionId?: string | null;
  variables?: { [name: string]: unknown } | null;
  settings?: ConnectionSettings | null;
  realtime?: RealtimeSettings | null;
  record?: "assistant" | "both" | "none" | null;
  resume?: boolean | null;
  raw?: boolean | null;
  limits?: SessionLimits | null;
  inputAudio?: SampleRate | null;
  outputAudio?: SampleRate | null;
  devices?: Devices | null;
  _meta?: unknown;
}

/** `session.start`, once connected. */
export interface SessionStartResult {
  sessionId: string;
  runId: string;
  resumed: boolean;
  startedAt: string;
  agent: string;
  provider: Open<"azure" | "compatible" | "local" | "openai" | "simulator">;
  model: string;
  inputAudio: AudioSpec;
  outputAudio: AudioSpec;
  features: Features;
  devices?: DevicesInUse;
}

/** `session.stop`: `force` overtakes the waits for idle sent before. */
export interface SessionStopParams {
  sessionId: string;
  force?: boolean | null;
  _meta?: unknown;
}

/** `session.stop`: the true reason of the end, and the files left. */
export interface SessionStopResult {
  reason: Open<"connectionLost" | "content" | "error" | "expired" | "hostGone" | "limit" | "shutdown" | "stopped">;
  durationMs: number;
  usage: Usage;
  files: Array<AudioFileInfo>;
}

/** `session.update`: a new agent, new template variables, or realtime settings member by member. */
export interface SessionUpdateParams {
  sessionId: string;
  agent?: string | AgentSpec | null;
  variables?: { [name: string]: unknown } | null;
  realtime?: RealtimeSettings | null;
  _meta?: unknown;
}

/** `session.wait`. */
export interface SessionWaitParams {
  sessionId: string;
  for?: "closed" | "idle" | null;
  timeoutMs?: number | null;
  _meta?: unknown;
}

/** `session.wait`. */
export interface SessionWaitResult {
  state: Open<"closed" | "idle">;
  responses: Array<EndedResponse>;
}

/** How the offline provider behaves: its script (a path, or the script itself), and how fast. */
export interface SimulatorSettings {
  script?: string | { [name: string]: unknown } | null;
  /** Default: 1.0. */
  speed?: number;
}

/** A server behind a URL, over server-sent events. */
export interface SseServer {
  type: "sse";
  name: string;
  allowed_tools?: Array<string> | null;
  denied_tools?: Array<string>;
  /** Default: false. */
  needs_approval?: boolean | Array<string>;
  /** Default: false. */
  required?: boolean;
  /** Default: 10.0. */
  connect_timeout_s?: number;
  /** Default: 30.0. */
  timeout_s?: number;
  /** Where it is. */
  url: string;
  /** Sent with every request. */
  headers?: { [name: string]: string };
}

/** A server that is a child process. */
export interface StdioServer {
  type: "stdio";
  name: string;
  allowed_tools?: Array<string> | null;
  denied_tools?: Array<string>;
  /** Default: false. */
  needs_approval?: boolean | Array<string>;
  /** Default: false. */
  required?: boolean;
  /** Default: 10.0. */
  connect_timeout_s?: number;
  /** Default: 30.0. */
  timeout_s?: number;
  /** The program, found on PATH. */
  command: string;
  /** Its arguments. */
  args?: Array<string>;
  /** Variables added to the daemon's own, without the keys of providers. */
  env?: { [name: string]: string };
  /** Where it runs; by default the daemon's working directory. */
  cwd?: string | null;
}

/** What the disk has not taken yet, the audio it was too slow for, and the runs it writes. */
export interface StorageBacklog {
  queuedBytes: number;
  queued: number;
  droppedMs: number;
  openRuns: number;
}

/** A WAV file with the run that it belongs to, and its place on the run's clock. */
export interface StoredAudio {
  atMs: number;
  runId: string;
  path: string;
  side: Open<"assistant" | "host">;
  itemId?: string;
  contentIndex?: number;
  durationMs: number;
}

/** An item with the run that it belongs to, from whose start `atMs` counts. */
export interface StoredItem {
  runId: string;
  itemId: string;
  type: Open<"functionCall" | "functionCallOutput" | "message">;
  role?: Open<"assistant" | "system" | "user">;
  status: Open<"completed" | "inProgress" | "incomplete">;
  content?: Array<ContentPart>;
  toolCallId?: string;
  toolName?: string;
  arguments?: unknown;
  output?: unknown;
  generatedText?: string;
  heardText?: string;
  heardMs?: number;
  interrupted?: boolean;
  atMs: number;
}

/** A stored session: who it was with and how long; no `endedAt` while it is live. */
export interface StoredSession {
  sessionId: string;
  agent: string;
  projectSlug: string;
  agentSlug: string;
  startedAt: string;
  endedAt?: string;
  reason?: Open<"connectionLost" | "content" | "error" | "expired" | "hostGone" | "limit" | "shutdown" | "stopped">;
  durationMs: number;
}

/** A tool of an agent. */
export interface Tool {
  /**
   * `host`: each use is a `tool.call`. `python:package.module:name`: a function, or a FunctionTool of the Agents
   * SDK, in the daemon's process.
   */
  run: string;
  /** What the model calls it by; a Python tool has its function's name by default. */
  name?: string | null;
  /** Tells the model when to use it; by default the function's docstring. */
  description?: string | null;
  /** JSON Schema of the arguments, an object; by default from the function's signature. */
  parameters?: { [name: string]: unknown } | null;
  /** How long one use may take, in seconds. Default: 30.0. */
  timeout_s?: number;
  /** Whether the host is asked before each use (`tool.approve`). Default: false. */
  needs_approval?: boolean;
}

/** `tool.approve`: may this tool run with these arguments? */
export interface ToolApproveParams {
  sessionId: string;
  runId: string;
  toolCallId: string;
  toolName: string;
  arguments: unknown;
  agent: string;
  timeoutMs: number;
}

/** `tool.approve`: `always` is for this tool until the session ends; `message` tells the model why not. */
export interface ToolApproveResult {
  decision: "approve" | "reject";
  /** Default: false. */
  always?: boolean | null;
  message?: string | null;
}

/** `tool.call`: run a tool of the host's within `timeoutMs`. */
export interface ToolCallParams {
  sessionId: string;
  runId: string;
  toolCallId: string;
  toolName: string;
  arguments: { [name: string]: unknown };
  agent: string;
  timeoutMs: number;
}

/** `tool.call`: any JSON value; a string is told to the model as it stands. */
export interface ToolCallResult {
  output: unknown;
}

/** What the provider's trace of a session is called. */
export interface TracingSettings {
  workflow_name?: string | null;
  group_id?: string | null;
  metadata?: { [name: string]: unknown } | null;
}

/** How the user's audio is put into words. */
export interface Transcription {
  model?: string;
  language?: string;
  languages?: Array<string>;
  prompt?: string;
  keywords?: Array<string>;
  delay?: "high" | "low" | "medium" | "minimal" | "xhigh";
}

/** What the provider said of its own error. */
export interface Upstream {
  type?: string;
  code?: string;
  eventId?: string;
}

/** Tokens of a response or of a session so far; `seconds` where the provider counts time. */
export interface Usage {
  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
  input?: InputTokens;
  output?: OutputTokens;
  seconds?: number;
}

/** `error.data`: branch on `kind`; the other facts depend on it. */
export interface ErrorData {
  kind: Open<ErrorKind>;
  /** Whether trying the same again may help. */
  retryable: boolean;
  path?: string;
  file?: string;
  logId?: string;
  [fact: string]: unknown;
}

/** The `kind` of an error. */
export type ErrorKind = keyof ErrorCodes;

/** The `error` of a reply; `message` is for people. */
export interface ReplyError {
  code: number;
  message: string;
  data: ErrorData;
}

/** The id of a request, which comes back as it was. */
export type RequestId = number | string | null;

/** Params of a request, by its name: `Params<"session.start">`. */
export type Params<Method extends keyof Methods> = Methods[Method]["params"];

/** The result of a request, by its name: `ResultOf<"session.start">`. */
export type ResultOf<Method extends keyof Methods> = Methods[Method]["result"];

/** The member `params` of a message; where nothing in it is needed it may be left out. */
export type WithParams<Of> = {} extends Of ? { params?: Of | null } : { params: Of };

/** A request of the host. */
export type RequestMessage = {
  [Method in keyof Methods]: { jsonrpc: "2.0"; id: RequestId; method: Method } & WithParams<Params<Method>>;
}[keyof Methods];

/** A notification of the host, which is never answered. */
export type HostNotificationMessage = {
  [Method in keyof HostNotifications]: { jsonrpc: "2.0"; id?: undefined; method: Method } & WithParams<
    HostNotifications[Method]
  >;
}[keyof HostNotifications];

/** The daemon's answer to a request. */
export type ReplyMessage =
  | { jsonrpc: "2.0"; id: RequestId; result: object; error?: undefined; method?: undefined }
  | { jsonrpc: "2.0"; id: RequestId; error: ReplyError; result?: undefined; method?: undefined };

/** A notification of the daemon; `method` says which params it has. */
export type NotificationMessage = {
  [Name in keyof Notifications]: {
    jsonrpc: "2.0";
    id?: undefined;
    method: Name;
    params: Notifications[Name];
  };
}[keyof Notifications];

/** A call of the daemon, which the host answers with its id. */
export type CallMessage = {
  [Name in keyof Calls]: { jsonrpc: "2.0"; id: string; method: Name; params: Calls[Name]["params"] };
}[keyof Calls];

/** A call has become moot: its answer would be ignored. */
export interface CancelMessage {
  jsonrpc: "2.0";
  id?: undefined;
  method: "$/cancelRequest";
  params: { id: string };
}

/** Whatever the daemon writes. */
export type DaemonMessage = ReplyMessage | NotificationMessage | CallMessage | CancelMessage;
