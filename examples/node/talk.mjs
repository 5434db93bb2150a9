// Talk with an agent from a terminal, in plain Node: what you type is said to it, and its voice is played.
//
//   node talk.mjs [--agent NAME_OR_JSON] [--settings JSON] [--player COMMAND | --out FILE] [--mic COMMAND]
//
// An empty line interrupts the agent. The end of input (Ctrl-D) ends the talk when the agent has finished, or at
// once where a microphone is open.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Daemon } from "./daemon.mjs";
import { Player } from "./player.mjs";

const { values: options } = parseArgs({
  options: {
    agent: { type: "string", default: '{"name": "greeter"}' },
    settings: { type: "string", default: "{}" },
    out: { type: "string", default: "talk.pcm" }, // fills at the pace of real time
    player: { type: "string" }, // such as: sox -q -t raw -r 24000 -e signed -b 16 -c 1 - -d
    mic: { type: "string" }, // such as: sox -q -d -t raw -r 24000 -e signed -b 16 -c 1 -
  },
});
const REPORT_MS = 100;
const sessionId = `talk-${process.pid}`;
let leaving = false;
/** Items that were cut. @type {Set<string>} */
const cut = new Set();
/** What the user is asked, one after the other. @type {Array<{ text: string, answer: (line: string) => void }>} */
const questions = [];
let nobodyTypes = false;

const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);
const tell = (/** @type {Error} */ error) => leaving || say(`[${error.message}]`);
const fail = (/** @type {string} */ why, code = 1) => {
  process.stderr.write(`${why}\n`);
  process.exit(code);
};
const json = (/** @type {string} */ flag, /** @type {string} */ text) => {
  try {
    return JSON.parse(text);
  } catch (error) {
    fail(`--${flag} is no JSON: ${error}`, 2);
  }
};
const agent = options.agent.startsWith("{") ? json("agent", options.agent) : options.agent;
const settings = json("settings", options.settings);

const speaker = options.player && spawn(options.player, { shell: true, stdio: ["pipe", "inherit", "inherit"] });
const player = new Player(speaker ? speaker.stdin : createWriteStream(options.out));
player.sink.on("error", (error) => fail(`The player: ${error.message}`));

const daemon = new Daemon(
  {
    "realtime.audio": (chunk) => player.push(chunk),
    "realtime.audioInterrupted": () => player.clear(),
    "realtime.transcriptDone": ({ role, text }) => say(`${role}: ${text}`),
    "realtime.itemUpdated": ({ item }) => {
      if (!item.interrupted || cut.has(item.itemId)) return;
      cut.add(item.itemId);
      say(`[cut after ${item.heardMs} ms: ${item.heardText}]`);
    },
    "realtime.error": ({ message }) => say(`[${message}]`),
    "log.message": ({ message }) => say(`[${message}]`),
    "realtime.closed": ({ reason, error }) => leaving || fail(`The talk is over: ${error?.message ?? reason}`),
  },
  {
    "tool.call": ({ toolName, arguments: { city } }) => {
      if (toolName !== "get_weather") throw new Error(`There is no tool ${toolName} here.`);
      return { output: `It is sunny in ${city}.` };
    },
    "tool.approve": async (call, moot) => {
      const line = await ask(`May ${call.toolName}(${JSON.stringify(call.arguments)}) run? [y/n]`, moot);
      return { decision: line === "y" ? "approve" : "reject" };
    },
  },
);
daemon.gone.then((error) => leaving || fail(error.message));

/** Asks when all that was asked before is answered. @param {string} text @param {AbortSignal} moot @returns {Promise<string>} */
const ask = (text, moot) =>
  new Promise((answer) => {
    if (nobodyTypes) return answer("");
    const question = { text, answer };
    moot.addEventListener("abort", () => settle(question, "")); // it took too long
    if (questions.push(question) === 1) say(text);
  });

/** @param {typeof questions[number] | undefined} question @param {string} line */
function settle(question, line) {
  const place = questions.findIndex((each) => each === question);
  if (place < 0) return; // it is answered
  const [settled] = questions.splice(place, 1);
  settled?.answer(line);
  if (place === 0 && questions[0]) say(questions[0].text);
}

let reported = 0;
function report() {
  reported = performance.now();
  if (player.position) daemon.notify("session.playback", player.position);
}
player.on("moved", () => (player.dry || performance.now() - reported >= REPORT_MS) && report());

/** @param {string} line */
async function typed(line) {
  if (questions[0]) {
    settle(questions[0], line);
  } else if (line) {
    await daemon.request("session.sendText", { sessionId, text: line });
  } else {
    player.hold(true); // nothing more is heard until the daemon has said what is cut
    report();
    const { interrupted } = await daemon.request("session.interrupt", { sessionId });
    if (interrupted) player.clear();
    player.hold(false);
  }
}

/** @param {NodeJS.ReadableStream} microphone */
async function listen(microphone) {
  let odd = Buffer.alloc(0);
  for await (const chunk of microphone) {
    const sound = Buffer.concat([odd, Buffer.from(chunk)]);
    const whole = sound.length - (sound.length % 2); // samples have two bytes
    odd = sound.subarray(whole);
    // While the reply is awaited, what comes meanwhile waits in the pipe.
    await daemon.request("session.sendAudio", { sessionId, audio: sound.toString("base64", 0, whole) });
  }
}

async function leave() {
  if (leaving) return;
  leaving = true;
  input.close();
  player.hold(true);
  report();
  if (microphone) microphone.stdout.destroy(), microphone.kill();
  await daemon.request("session.stop", { sessionId }).catch(tell);
  await daemon.request("shutdown", {}).catch(tell);
  daemon.notify("exit", {});
  player.sink.end();
}

await daemon.request("initialize", { processId: process.pid, capabilities: { tools: true, approvals: true } });
const started = daemon.request("session.start", { sessionId, agent, settings });
const { outputAudio } = await started.catch((error) => fail(error.message));
player.bytesPerMs = (outputAudio.sampleRate / 1000) * (outputAudio.format === "pcm16" ? 2 : 1);

const microphone = options.mic && spawn(options.mic, { shell: true, stdio: ["ignore", "pipe", "inherit"] });
if (microphone) listen(microphone.stdout).catch(tell);
process.on("SIGINT", leave);
const input = createInterface({ input: process.stdin });
input.on("line", (line) => typed(line).catch(tell));
input.on("close", async () => {
  nobodyTypes = true;
  while (questions[0]) questions.shift()?.answer(""); // which is a no
  if (!leaving && !microphone) {
    await daemon.request("session.wait", { sessionId }).catch(tell);
    if (!player.dry) await once(player, "dry");
  }
  await leave();
});
