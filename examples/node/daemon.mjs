// The daemon as a child process, without a library: requests, notifications and calls, one message a line.
import { spawn } from "node:child_process";

/** @import { Calls, DaemonMessage, HostNotifications, Methods, Notifications } from "../../schemas/omnirt.d.ts" */
/** @typedef {{ [N in keyof Notifications]?: (params: Notifications[N]) => void }} Told */
/**
 * @typedef {{ [C in keyof Calls]?: (params: Calls[C]["params"], moot: AbortSignal) =>
 *   Calls[C]["result"] | Promise<Calls[C]["result"]> }} Asked
 */

export class Daemon {
  #process = spawn("omnirt", ["serve"], { stdio: ["pipe", "pipe", "inherit"] });
  /** @type {Map<unknown, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  /** @type {Map<string, AbortController>} */
  #calls = new Map();
  #requests = 0;
  #rest = "";

  /**
   * @param {Told} told what to do with notifications; the others are let pass
   * @param {Asked} asked who answers the daemon's calls
   */
  constructor(told, asked) {
    this.told = told;
    this.asked = asked;
    /** Resolves when the process is gone, whatever ended it. @type {Promise<Error>} */
    this.gone = new Promise((resolve) => {
      this.#process.on("error", ({ message }) => resolve(new Error(`${message}: is omnirt installed, and on PATH?`)));
      this.#process.on("close", (code, signal) => resolve(new Error(`The daemon ended: ${signal ?? code}.`)));
    });
    this.gone.then((error) => this.#waiting.forEach(({ reject }) => reject(error)));
    this.#process.stdin.on("error", () => {}); // it is gone, as above
    this.#process.stdout.setEncoding("utf8").on("data", (text) => {
      const lines = `${this.#rest}${text}`.split("\n"); // not with readline, which splits at U+2028 as well
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#read(JSON.parse(line));
    });
  }

  /** @template {keyof Methods} M @param {M} method @param {Methods[M]["params"]} params @returns {Promise<Methods[M]["result"]>} */
  request(method, params) {
    return new Promise((resolve, reject) => {
      if (!this.#process.stdin.writable) return reject(new Error("The daemon is gone."));
      this.#waiting.set(++this.#requests, { resolve, reject });
      this.#write({ id: this.#requests, method, params });
    });
  }

  /** @template {keyof HostNotifications} M @param {M} method @param {HostNotifications[M]} params */
  notify(method, params) {
    this.#write({ method, params });
  }

  /** @param {object} message */
  #write(message) {
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** @param {DaemonMessage} message */
  #read(message) {
    if (message.method === undefined) {
      const asker = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      // `error.data.kind` is what a program branches on; the message is for people.
      if (message.error) asker?.reject(Object.assign(new Error(message.error.message), message.error.data));
      else asker?.resolve(message.result);
    } else if (message.method === "$/cancelRequest") this.#calls.get(message.params.id)?.abort();
    else if (message.id !== undefined) this.#answer(message.id, message.method, message.params);
    else this.told[message.method]?.(/** @type {any} */ (message.params));
  }

  /** @param {string} id @param {keyof Calls} method @param {any} params */
  async #answer(id, method, params) {
    const moot = new AbortController();
    this.#calls.set(id, moot);
    try {
      const handler = this.asked[method]; // a later version may ask for what is not known here
      if (handler) this.#write({ id, result: await handler(params, moot.signal) });
      else this.#write({ id, error: { code: -32601, message: `This host has no ${method}.` } });
    } catch (error) {
      this.#write({ id, error: { code: -32000, message: String(error) } });
    }
    this.#calls.delete(id);
  }
}
