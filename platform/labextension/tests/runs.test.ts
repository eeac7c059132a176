import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { ApiError, type Api } from '../src/api.js';
import { RunsModel, interval, summary } from '../src/runs.js';
import type { RunRow } from '../src/wire.js';
import { fakeApi, run } from './support.js';

const INTERVALS = { active: 2, idle: 15 };
const AWAY = new ApiError({ status: 0, kind: 'Unreachable', what: 'away' });

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

/** Let promises that are kept already take effect. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) {
    await Promise.resolve();
  }
}

async function pass(seconds: number): Promise<void> {
  mock.timers.tick(seconds * 1000);
  await settled();
}

/** Return a model, and how often it has asked. */
function watched(
  reply: () => RunRow[],
  others: Partial<Api> = {},
  hidden = false
): { model: RunsModel; asked: number[] } {
  const asked: number[] = [];
  const api = fakeApi({
    runs: ({ limit }) => {
      asked.push(limit ?? 0);
      try {
        const runs = reply();
        return Promise.resolve({ runs, total: 30 });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    ...others
  });
  return { model: new RunsModel({ api, intervals: INTERVALS, hidden: () => hidden }), asked };
}

test('while a run goes on it is looked at often, else seldom', () => {
  assert.equal(interval([run('a', 'running')], false, INTERVALS), 2000);
  assert.equal(interval([run('a', 'building')], false, INTERVALS), 2000);
  assert.equal(interval([run('a', 'succeeded'), run('b', 'lost')], false, INTERVALS), 15000);
  assert.equal(interval([run('a', 'running')], true, INTERVALS), 15000);
});

test('the poll follows the state of the runs', async () => {
  let state: RunRow['state'] = 'running';
  const { model, asked } = watched(() => [run('a', state)]);
  model.start();
  await settled();
  await pass(0);
  assert.equal(asked.length, 1);
  await pass(2);
  assert.equal(asked.length, 2);
  state = 'succeeded';
  await pass(2);
  assert.equal(asked.length, 3);
  await pass(14);
  assert.equal(asked.length, 3);
  await pass(1);
  assert.equal(asked.length, 4);
  model.dispose();
});

test('without an answer the runs stay, and the wait grows up to half a minute', async () => {
  let away = false;
  const { model, asked } = watched(() => {
    if (away) {
      throw AWAY;
    }
    return [run('a', 'running', 3)];
  });
  let recovered = 0;
  model.recovered.connect(() => recovered++);
  model.start();
  await settled();
  await pass(0);
  away = true;
  await pass(2);
  assert.equal(model.error, AWAY);
  assert.equal(model.runs.length, 1);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    const before = asked.length;
    let waited = 0;
    while (asked.length === before) {
      await pass(0.5);
      waited += 0.5;
    }
    waits.push(waited);
  }
  assert.ok(Math.max(...waits) <= 30.5, String(waits));
  away = false;
  await pass(30.5);
  assert.equal(model.error, null);
  assert.equal(recovered, 1);
  model.dispose();
});

test('a run that ends is told', async () => {
  let state: RunRow['state'] = 'running';
  const { model } = watched(() => [run('a', state)]);
  let moved = 0;
  model.moved.connect(() => moved++);
  model.start();
  await settled();
  await pass(0);
  await pass(2);
  assert.equal(moved, 0);
  state = 'failed';
  await pass(2);
  assert.equal(moved, 1);
  model.dispose();
});

test('a cancelled run shows at once', async () => {
  const { model } = watched(() => [run('a', 'running')], {
    cancelRun: id => Promise.resolve(run(id, 'cancelled'))
  });
  model.start();
  await settled();
  await pass(0);
  await model.cancel('a');
  assert.equal(model.find('a')?.state, 'cancelled');
  model.dispose();
});

test('older runs are asked for on demand', async () => {
  const { model, asked } = watched(() => [run('a', 'succeeded')]);
  model.start();
  await settled();
  await pass(0);
  assert.equal(model.hasMore, true);
  await model.more();
  await pass(0);
  assert.deepEqual(asked, [20, 40]);
  assert.equal(model.hasMore, false);
  model.dispose();
});

test('the status bar tells how many run and how far the latest is', () => {
  assert.equal(summary([], null), 'no run active');
  assert.equal(summary([run('b', 'running', 4), run('a', 'running', 9)], null), '2 running, 40 %');
  assert.equal(summary([run('b', 'building')], null), '1 running, building');
  assert.equal(summary([run('b', 'running')], AWAY), 'no answer');
});
