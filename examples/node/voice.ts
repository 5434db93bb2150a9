// The daemon in an editor extension, over vscode-jsonrpc with the headers of the Language Server Protocol.
//
// `Voice` is what an extension for VS Code holds: `new Voice(vscode.window, "omnirt")`. At the end of this file is
// the same in a terminal: `npm install && npm run build && node build/voice.js "How is the weather in Oslo?"`.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline/promises";
import { pathToFileURL } from "node:url";
import {
  CancellationToken,
  createMessageConnection,
  ErrorCodes,
  RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
  type Disposable,
  type MessageConnection,
} from "vscode-jsonrpc/node";
import type {
  AgentSpec,
  Calls,
  ErrorData,
  HostNotifications,
  Methods,
  Notifications,
  SessionStartParams,
} from "../../schemas/omnirt.d.ts";

/** What is used of `vscode.window`. */
export interface Window {
  showErrorMessage(message: string): unknown;
  showWarningMessage(message: string, ...choices: string[]): PromiseLike<string | undefined>;
}

export class Voice implements Disposable {
  readonly connection: MessageConnection;
  private readonly process: ChildProcess;
  private leaving = false;
  private gone = false;

  constructor(private readonly window: Window, command: string, args: string[] = []) {
    this.process = spawn(command, ["serve", ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.process.on("error", ({ message }) => this.ended(`${message}: is omnirt installed, and on PATH?`));
    this.process.on("close", (code, signal) => {
      this.ended(code === 0 && this.leaving ? undefined : `omnirt ended: ${signal ?? code}. Its talks are stored.`);
    });
    const { stdin, stdout } = this.process;
    this.connection = createMessageConnection(new StreamMessageReader(stdout!), new StreamMessageWriter(stdin!));
    this.connection.onError(() => {}); // a daemon that is gone can't be written to: "close" tells
    this.answer("tool.approve", async ({ toolName, arguments: given }) => {
      const choice = await window.showWarningMessage(`May ${toolName}(${JSON.stringify(given)}) run?`, "Yes", "Always");
      return { decision: choice ? "approve" : "reject", always: choice === "Always" };
    });
    this.on("realtime.error", ({ message, fatal }) => fatal && window.showErrorMessage(message));
    this.on("log.message", ({ message }) => window.showErrorMessage(message));
    this.connection.listen();
  }

  /** Asks; the promise rejects with a `ResponseError<ErrorData>`, also when `token` is cancelled. */
  request<M extends keyof Methods>(
    method: M,
    params: Methods[M]["params"],
    token = CancellationToken.None, // left out, it would count as one more param
  ): Promise<Methods[M]["result"]> {
    return this.connection.sendRequest(method, params, token);
  }

  notify<M extends keyof HostNotifications>(method: M, params: HostNotifications[M]): Promise<void> {
    return this.connection.sendNotification(method, params);
  }

  on<N extends keyof Notifications>(name: N, handler: (params: Notifications[N]) => void): Disposable {
    return this.connection.onNotification(name, handler);
  }

  /** Answers a call of the daemon's; `moot` is cancelled when the answer would come too late. */
  answer<C extends keyof Calls>(
    name: C,
    handler: (params: Calls[C]["params"], moot: CancellationToken) => Promise<Calls[C]["result"]>,
  ): Disposable {
    return this.connection.onRequest<Calls[C]["params"], unknown, void>(new RequestType(name), handler);
  }

  /** Answers `tool.call` with these functions, by the names of the tools. */
  tools(tools: Record<string, (given: Record<string, unknown>) => unknown>): Disposable {
    return this.answer("tool.call", async ({ toolName, arguments: given }) => {
      const tool = tools[toolName];
      if (!tool) throw new ResponseError(ErrorCodes.InvalidParams, `There is no tool ${toolName} here.`);
      return { output: await tool(given) };
    });
  }

  /** Ends every session, and the daemon. */
  async stop(): Promise<void> {
    this.leaving = true;
    try {
      await this.request("shutdown", {});
      await this.notify("exit", {});
    } finally {
      this.dispose();
    }
  }

  dispose(): void {
    this.leaving = true;
    this.process.stdin?.end(); // ends the daemon too, in its own time
  }

  private ended(why?: string): void {
    this.connection.dispose(); // rejects what still waits for a reply
    if (why && !this.gone) this.window.showErrorMessage(why);
    this.gone = true;
  }
}

// ── a talk of one question, in a terminal ──

async function main(question: string, settings: SessionStartParams["settings"]): Promise<void> {
  const terminal = createInterface({ input: process.stdin });
  const say = (text: string) => void process.stdout.write(`${text}\n`);
  const window: Window = {
    showErrorMessage: say,
    showWarningMessage: async (message, ...choices) => {
      say(`${message} [${choices.join("/")}]`);
      const { value } = await terminal[Symbol.asyncIterator]().next();
      return choices.find((choice) => choice === value);
    },
  };
  const voice = new Voice(window, "omnirt");
  voice.tools({ get_weather: ({ city }) => `It is sunny in ${city}.` });
  voice.on("realtime.transcriptDone", ({ role, text }) => say(`${role}: ${text}`));
  const agent: AgentSpec = {
    name: "guide",
    instructions: "You help travellers.",
    tools: [{ name: "get_weather", description: "The weather of a city", run: "host", needs_approval: true }],
  };
  try {
    await voice.request("initialize", {
      processId: process.pid,
      clientInfo: { name: "voice.ts" },
      capabilities: { tools: true, approvals: true },
      optOutNotifications: ["realtime.audio"], // here is only text; player.mjs shows how sound is played
    });
    const { sessionId } = await voice.request("session.start", { agent, settings });
    await voice.request("session.sendText", { sessionId, text: question });
    await voice.request("session.wait", { sessionId });
  } catch (error) {
    const { message, data } = error as ResponseError<ErrorData>;
    say(`${data?.kind ?? "error"}: ${message}`);
    process.exitCode = 1;
  }
  terminal.close();
  await voice.stop().catch(() => {}); // it may be gone already
}

const [program, ...given] = process.argv.slice(1);
if (program && import.meta.url === pathToFileURL(program).href) {
  let settings;
  try {
    settings = JSON.parse(given[1] ?? "{}");
  } catch (error) {
    process.stderr.write(`The settings are no JSON: ${error}\n`);
    process.exit(2);
  }
  await main(given[0] ?? "Hello", settings);
}
