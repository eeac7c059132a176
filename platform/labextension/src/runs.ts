/** The runs that the server knows, asked again and again. */

import { Poll } from '@lumino/polling';
import { Signal, type ISignal } from '@lumino/signaling';

import { asApiError, isAborted, type Api, type ApiError } from './api.js';
import type { RunRow, RunState } from './wire.js';

/** Whether something may still happen to a run by itself. */
export function isActive(run: RunRow): boolean {
  return run.state === 'building' || run.state === 'running';
}

/** A state in a word, as the documentation has it. */
export const STATE_WORDS: Readonly<Record<RunState, string>> = {
  building: 'building its graph',
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  lost: 'lost: its driver died'
};

/** The times between two questions [s]. */
export interface Intervals {
  /** While something runs and the page is seen. */
  readonly active: number;
  /** Otherwise. */
  readonly idle: number;
}

/** Return the time until the next question [ms]. */
export function interval(runs: readonly RunRow[], hidden: boolean, intervals: Intervals): number {
  return (
    1000 * (!hidden && runs.some(isActive) ? intervals.active : Math.max(intervals.idle, intervals.active))
  );
}

/** Return what the status bar says. */
export function summary(runs: readonly RunRow[], error: ApiError | null): string {
  if (error) {
    return error.isUnreachable ? 'no answer' : 'not available';
  }
  const active = runs.filter(isActive);
  const latest = active[0];
  if (!latest) {
    return 'no run active';
  }
  const share = latest.state === 'building' ? 'building' : `${Math.floor(latest.progress * 100 + 1e-9)} %`;
  return `${active.length} running, ${share}`;
}

/** Whether a run that was known is in another state. */
function hasMoved(before: readonly RunRow[], now: readonly RunRow[]): boolean {
  return now.some(run => before.some(other => other.id === run.id && other.state !== run.state));
}

/** Return the numbers of quanta of a run. */
export function quanta(run: RunRow): { total: number; succeeded: number; failed: number; running: number } {
  const sum = (pick: (task: RunRow['tasks'][number]) => number): number =>
    run.tasks.reduce((total, task) => total + pick(task), 0);
  return {
    total: sum(task => task.quanta),
    succeeded: sum(task => task.succeeded),
    failed: sum(task => task.failed),
    running: sum(task => task.running)
  };
}

export interface RunsOptions {
  readonly api: Api;
  readonly intervals: Intervals;
  /** Number of runs to list at first. */
  readonly limit?: number;
  /** Whether the page is not seen. */
  readonly hidden?: () => boolean;
}

const PAGE = 20;
const MOST = 200;

/** The runs, the newest first, kept up to date. */
export class RunsModel {
  constructor(options: RunsOptions) {
    this._api = options.api;
    this._intervals = options.intervals;
    this._limit = options.limit ?? PAGE;
    this._hidden = options.hidden ?? (() => document.hidden);
    this._poll = new Poll({
      name: '@lenticular/labextension:runs',
      auto: false,
      // After an error the wait grows from a second to half a minute.
      frequency: { interval: 1000 * this._intervals.active, backoff: 2, max: 30_000 },
      standby: 'never',
      factory: () => this._ask()
    });
  }

  /** Emitted after every answer, and when there was none. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when the server answers after it had not. */
  get recovered(): ISignal<this, void> {
    return this._recovered;
  }

  /** Emitted when a run is in another state than before. */
  get moved(): ISignal<this, void> {
    return this._moved;
  }

  get runs(): readonly RunRow[] {
    return this._runs;
  }

  /** Why the last question had no answer. */
  get error(): ApiError | null {
    return this._error;
  }

  /** Whether there has been an answer yet. */
  get isKnown(): boolean {
    return this._known;
  }

  /** Whether there may be older runs than those listed. */
  get hasMore(): boolean {
    return this._limit < Math.min(this._total, MOST);
  }

  /** Take other intervals, and another number of runs to list. */
  configure(intervals: Intervals, limit: number): void {
    this._intervals = intervals;
    this._limit = Math.min(Math.max(limit, 1), MOST);
    this._setFrequency();
    if (this._known) {
      void this.refresh();
    }
  }

  start(): void {
    void this._poll.start();
  }

  /** Ask now. */
  async refresh(): Promise<void> {
    await this._poll.refresh();
  }

  /** List older runs too. */
  async more(): Promise<void> {
    this._limit = Math.min(this._limit + PAGE, MOST);
    await this.refresh();
  }

  find(id: string): RunRow | null {
    return this._runs.find(run => run.id === id) ?? null;
  }

  async cancel(id: string): Promise<void> {
    this._replace(await this._api.cancelRun(id));
  }

  async restart(id: string): Promise<void> {
    this._replace(await this._api.restartRun(id));
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  private async _ask(): Promise<void> {
    try {
      const { runs, total } = await this._api.runs({ limit: this._limit });
      const before = this._runs;
      this._runs = runs;
      this._total = total;
      this._known = true;
      const wasAway = this._error !== null;
      this._error = null;
      this._setFrequency();
      this._changed.emit();
      if (wasAway) {
        this._recovered.emit();
      } else if (hasMoved(before, runs)) {
        this._moved.emit();
      }
    } catch (error) {
      if (!isAborted(error)) {
        this._error = asApiError(error);
        // It may be back in a moment; the wait grows from here.
        this._poll.frequency = { ...this._poll.frequency, interval: 1000 * this._intervals.active };
        this._changed.emit();
      }
      throw error;
    }
  }

  private _setFrequency(): void {
    const next = interval(this._runs, this._hidden(), this._intervals);
    this._poll.frequency = { ...this._poll.frequency, interval: next, max: Math.max(next, 30_000) };
  }

  private _replace(changed: RunRow): void {
    this._runs = this._runs.map(run => (run.id === changed.id ? changed : run));
    this._changed.emit();
    void this.refresh();
  }

  private readonly _api: Api;
  private readonly _hidden: () => boolean;
  private readonly _poll: Poll;
  private _intervals: Intervals;
  private _limit: number;
  private _runs: readonly RunRow[] = [];
  private _total = 0;
  private _known = false;
  private _error: ApiError | null = null;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _moved = new Signal<this, void>(this);
  private readonly _recovered = new Signal<this, void>(this);
}
