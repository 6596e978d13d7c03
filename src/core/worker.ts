/**
 * Work in a separate thread, bounded in time and memory: a hostile input ends the thread and not the daemon. Jobs run one after
 * another; the thread starts with the first and ends after an idle time.
 */
import { parentPort, Worker } from 'node:worker_threads';
import { CodedError, type FailureData, nativeCode } from './errors.ts';

export interface WorkerLimits {
  /** Of one job. */
  readonly timeLimitMs: number;
  readonly memoryLimitMb: number;
}

/** A start takes 0.1 s, and jobs come in groups: an edit and the reload after it, one entry after another. */
const IDLE_MS = 2_000;

/** The main thread to the worker: a job, or that it has taken a part. */
type ToWorker<J> = { readonly job: J } | 'taken';
type FromWorker<A> = { readonly part: unknown } | { readonly answer: A } | { readonly failure: FailureData };

interface Waiting<J, A> {
  readonly job: J;
  readonly onPart: (part: never) => void;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: CodedError) => void;
}

/** The main thread's side. */
export class WorkerThread<J, A> {
  readonly #script: URL;
  readonly #limits: WorkerLimits;
  readonly #queue: Waiting<J, A>[] = [];
  #worker: Worker | null = null;
  #busy: Waiting<J, A> | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** @param script the .ts file; a build has its .js in the same folder */
  constructor(script: URL, limits: WorkerLimits) {
    this.#script = import.meta.url.endsWith('.ts') ? script : new URL(script.href.replace(/\.ts$/, '.js'));
    this.#limits = limits;
  }

  /**
   * @param onPart gets what the job hands over before its answer
   * @throws CodedError of the job; TOO_COSTLY where it took more than its limits, or the thread failed
   */
  run<P = never>(job: J, onPart: (part: P) => void = () => undefined): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, onPart, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#busy) return;
    const next = this.#queue.shift();
    if (this.#timer) clearTimeout(this.#timer);
    if (!next) {
      this.#worker?.unref();
      this.#timer = setTimeout(() => this.#stop(), IDLE_MS).unref();
      return;
    }
    this.#busy = next;
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const { timeLimitMs } = this.#limits;
    this.#timer = setTimeout(() => this.#fail(worker, `it takes longer than ${timeLimitMs / 1000} s`), timeLimitMs);
    post(worker, { job: next.job });
  }

  #start(): Worker {
    const { memoryLimitMb } = this.#limits;
    const worker = new Worker(this.#script, { resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb } });
    worker.on('message', (message: FromWorker<A>) => {
      if (worker !== this.#worker) return;
      if ('part' in message) {
        this.#busy?.onPart(message.part as never);
        post(worker, 'taken');
      } else if ('answer' in message) this.#end((waiting) => waiting.resolve(message.answer));
      else this.#end((waiting) => waiting.reject(CodedError.from(message.failure)));
    });
    worker.on('error', (error) => {
      const code = nativeCode(error) ?? 'unknown error'; // its message may quote the input
      const outOfMemory = code === 'ERR_WORKER_OUT_OF_MEMORY';
      this.#fail(
        worker,
        outOfMemory ? `it takes more than ${memoryLimitMb} MB of memory` : `its thread failed: ${code}`,
      );
    });
    return worker;
  }

  #fail(worker: Worker, why: string): void {
    if (worker !== this.#worker) return;
    this.#stop();
    this.#end((waiting) => waiting.reject(new CodedError('TOO_COSTLY', why, 'make the file smaller')));
  }

  #end(answer: (waiting: Waiting<J, A>) => void): void {
    const done = this.#busy;
    this.#busy = null;
    if (done) answer(done);
    this.#next();
  }

  #stop(): void {
    void this.#worker?.terminate();
    this.#worker = null;
  }
}

function post(worker: Worker, message: unknown): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for browser windows
  worker.postMessage(message);
}

/** Hands a part of a large result over; resolves when the main thread has taken it, so that it takes one at a time. */
export type HandOver<P> = (part: P) => Promise<void>;

/** The worker's side: does every job that comes. */
export function serveJobs<J, A, P = never>(work: (job: J, handOver: HandOver<P>) => A | Promise<A>): void {
  const port = parentPort;
  if (!port) return;
  let taken: (() => void) | null = null;
  const send = (message: FromWorker<A>): void => port.postMessage(message);
  const handOver: HandOver<P> = (part) => {
    send({ part });
    return new Promise((resolve) => (taken = resolve));
  };
  const answer = async (job: J): Promise<void> => {
    try {
      send({ answer: await work(job, handOver) });
    } catch (error) {
      // Any other error ends the thread and fails the job.
      if (!(error instanceof CodedError)) throw error;
      send({ failure: error.data });
    }
  };
  port.on('message', (message: ToWorker<J>) => {
    if (message === 'taken') taken?.();
    else void answer(message.job);
  });
}
