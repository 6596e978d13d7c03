/** One thread that decodes, started when there is work and ended when there is none for a while; bounded in time and memory. */
import { Worker } from 'node:worker_threads';
import type { DecodeAnswer, DecodeJob } from './decode-worker.ts';

/** Five million rounds of SHA-512, the most that is tried, take about 4 s. */
const timeLimitMs = 10_000;
/** The largest file that is read has 1 MiB, and its tree a hundred times that. */
const memoryLimitMb = 256;
/** Long enough for the next entry's turn; a thread holds about 15 MiB. */
const idleMs = 2_000;

interface Waiting {
  readonly job: DecodeJob;
  readonly resolve: (answer: DecodeAnswer) => void;
}

class DecodeThread {
  readonly #queue: Waiting[] = [];
  #worker: Worker | null = null;
  #busy: Waiting | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** One after another: the limit is each one's own. Never rejects. */
  run(job: DecodeJob): Promise<DecodeAnswer> {
    return new Promise((resolve) => {
      this.#queue.push({ job, resolve });
      this.#next();
    });
  }

  #next(): void {
    if (this.#busy) return;
    const next = this.#queue.shift();
    if (this.#timer) clearTimeout(this.#timer);
    if (!next) {
      this.#worker?.unref();
      this.#timer = setTimeout(() => this.#stop(), idleMs).unref();
      return;
    }
    this.#busy = next;
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    this.#timer = setTimeout(() => this.#fail(worker, `longer than ${timeLimitMs / 1000} s`), timeLimitMs);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for browser windows
    worker.postMessage(next.job);
  }

  #start(): Worker {
    // The same folder holds .ts from a checkout and .js in the package.
    const script = new URL(
      import.meta.url.endsWith('.ts') ? './decode-worker.ts' : './decode-worker.js',
      import.meta.url,
    );
    const worker = new Worker(script, { resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb } });
    worker.on('message', (answer: DecodeAnswer) => {
      if (worker === this.#worker) this.#answer(answer);
    });
    worker.on('error', () => this.#fail(worker, `more than ${memoryLimitMb} MB of memory, or the thread failed`));
    return worker;
  }

  #fail(worker: Worker, detail: string): void {
    if (worker !== this.#worker) return;
    this.#stop();
    this.#answer({ ok: false, code: 'DECRYPTION_TOO_COSTLY', detail });
  }

  #answer(answer: DecodeAnswer): void {
    const done = this.#busy;
    this.#busy = null;
    done?.resolve(answer);
    this.#next();
  }

  #stop(): void {
    void this.#worker?.terminate();
    this.#worker = null;
  }
}

const thread = new DecodeThread();

/** Decodes away from the event loop. Never rejects. */
export function decodeInThread(job: DecodeJob): Promise<DecodeAnswer> {
  return thread.run(job);
}
