/** What several tests need. */

import type { Api } from '../src/api.js';
import type { RunRow, RunState } from '../src/wire.js';

/** Return a response as the server gives it. */
export function answer(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status });
}

/** Return a promise and how it is kept or broken. */
export function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Return a run of ten quanta. */
export function run(id: string, state: RunState, succeeded = 0): RunRow {
  return {
    id,
    state,
    phase: '',
    output_run: `u/ana/${id}`,
    pipeline: 'single-visit',
    label: 'demo',
    created: '2026-11-22T12:00:00Z',
    started: '2026-11-22T12:00:00Z',
    ended: null,
    tasks: [
      {
        label: 'isr',
        quanta: 10,
        succeeded,
        failed: 0,
        running: 0,
        waiting: 10 - succeeded,
        blocked: 0,
        cancelled: 0,
        mean_seconds: null
      }
    ],
    progress: succeeded / 10,
    eta_seconds: null,
    error: null,
    can_cancel: true,
    can_restart: false
  };
}

/** Return a server of which only some routes are needed. */
export function fakeApi(routes: Partial<Api>): Api {
  return routes as Api;
}
