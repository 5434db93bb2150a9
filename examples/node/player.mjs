// Plays what the agent says at the pace of real time, so that what has been handed over is what was heard.
import { EventEmitter } from "node:events";

/** @import { RealtimeAudio, SessionPlaybackParams } from "../../schemas/omnirt.d.ts" */
/** @import { Writable } from "node:stream" */

const TICK_MS = 20; // how much is handed over at a time
const LATE_MS = 100; // … and at most, after a stall: whoever plays it keeps to real time as well

/** Emits `moved` as it plays, and `dry` when nothing is left to play. */
export class Player extends EventEmitter {
  /** @type {Array<{ chunk: RealtimeAudio, sound: Buffer, played: number }>} */
  #queue = [];
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #last = 0;
  #held = false;
  /** Where the loudspeaker is, as `session.playback` takes it. @type {SessionPlaybackParams | undefined} */
  position;

  /** How much is played in a millisecond; PCM16 at 24 kHz until the session says otherwise. */
  bytesPerMs = 48;

  /** @param {Writable} sink the stdin of a program that plays raw audio, or a file */
  constructor(sink) {
    super();
    this.sink = sink.on("drain", () => this.#run());
  }

  get dry() {
    return this.#queue.length === 0;
  }

  /** @param {RealtimeAudio} chunk */
  push(chunk) {
    this.#queue.push({ chunk, sound: Buffer.from(chunk.audio, "base64"), played: 0 });
    if (!this.#timer) this.#run();
  }

  /** Stands still, or goes on. @param {boolean} held */
  hold(held) {
    this.#held = held;
    this.#run();
  }

  /** Forgets what was not played: somebody interrupted. */
  clear() {
    this.#queue = [];
    this.#run();
    this.emit("dry");
  }

  #run() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    // A sink that is slower than we are makes time stand still until it has caught up.
    if (this.#held || this.dry || this.sink.writableNeedDrain) return;
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick() {
    const now = performance.now();
    let due = 2 * Math.floor((Math.min(now - this.#last, LATE_MS) * this.bytesPerMs) / 2); // whole samples
    this.#last = now;
    for (let next = this.#queue[0]; next && due > 0; next = this.#queue[0]) {
      const { sessionId, itemId, contentIndex, offsetMs, deltaMs } = next.chunk;
      const piece = next.sound.subarray(next.played, next.played + due);
      this.sink.write(piece);
      due -= piece.length;
      next.played += piece.length;
      const ended = next.played === next.sound.length;
      const playedMs = offsetMs + (ended ? deltaMs : Math.floor(next.played / this.bytesPerMs));
      this.position = { sessionId, itemId, contentIndex, playedMs };
      if (ended) this.#queue.shift();
    }
    this.emit("moved");
    if (this.dry) this.clear();
    else if (this.sink.writableNeedDrain) this.#run();
  }
}
