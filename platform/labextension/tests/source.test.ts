import assert from 'node:assert/strict';
import { test } from 'node:test';

import { serverSource } from '../src/source.js';
import type { CollectionThing, DatasetTypeThing, RepositoryThing } from '../src/things.js';
import type { CollectionRow } from '../src/wire.js';
import { fakeApi } from './support.js';

const REPOSITORY: RepositoryThing = { kind: 'repository', label: 'demo' };
const CHAIN: CollectionThing = { kind: 'collection', label: 'demo', name: 'u/ana', type: 'CHAINED' };
const RAW: DatasetTypeThing = {
  kind: 'dataset-type',
  label: 'demo',
  name: 'raw',
  collection: 'u/ana',
  storageClass: 'RawImage',
  dimensions: ['instrument', 'exposure', 'detector']
};
const SIGNAL = new AbortController().signal;

function rows(number: number): CollectionRow[] {
  return Array.from({ length: number }, (_, index) => ({
    name: `c${index}`,
    kind: 'RUN',
    children: 0,
    documentation: '',
    dataset_types: 3
  }));
}

test('a chain has its members first, then its dataset types with counts', async () => {
  const api = fakeApi({
    collections: asked => {
      assert.equal(asked.parent, 'u/ana');
      return Promise.resolve({ collections: rows(1), total: 1 });
    },
    collection: () =>
      Promise.resolve({
        name: 'u/ana',
        kind: 'CHAINED',
        documentation: '',
        children: ['c0'],
        parents: [],
        dataset_types: [
          {
            name: 'raw',
            storage_class: 'RawImage',
            dimensions: ['exposure'],
            is_calibration: false,
            count: 12345
          }
        ]
      })
  });
  const page = await serverSource(api, () => 10)(CHAIN, '', null, SIGNAL);
  assert.deepEqual(
    page.seeds.map(seed => [seed.thing.kind, seed.title, seed.note, seed.noteWords]),
    [
      ['collection', 'c0', '3', '3 dataset types'],
      ['dataset-type', 'raw', '12\u2009345', '12\u2009345 datasets']
    ]
  );
});

test('more collections are shown once, and then the filter is pointed at', async () => {
  const limits: (number | undefined)[] = [];
  const api = fakeApi({
    collections: ({ limit }) => {
      limits.push(limit);
      return Promise.resolve({ collections: rows(limit!), total: 1500 });
    }
  });
  const source = serverSource(api, () => 10);
  const first = await source(REPOSITORY, '', null, SIGNAL);
  assert.match(first.more!, /1\u2009000 more/);
  const second = await source(REPOSITORY, '', first.next, SIGNAL);
  assert.deepEqual(limits, [500, 1000]);
  assert.equal(second.next, null);
  assert.match(second.rest!, /500 more: use the filter/);
});

test('a filter finds collections and dataset types', async () => {
  const api = fakeApi({
    collections: ({ glob }) => Promise.resolve({ collections: glob === '*raw*' ? rows(1) : [], total: 1 }),
    datasetTypes: () =>
      Promise.resolve({
        dataset_types: [{ name: 'raw', storage_class: 'RawImage', dimensions: [], is_calibration: false }],
        total: 1
      })
  });
  const page = await serverSource(api, () => 10)(REPOSITORY, '*raw*', null, SIGNAL);
  assert.deepEqual(
    page.seeds.map(seed => [seed.title, seed.expandable]),
    [
      ['c0', true],
      ['raw', false]
    ]
  );
});

test('datasets come by page, named by what differs', async () => {
  const api = fakeApi({
    datasets: asked => {
      assert.deepEqual([asked.limit, asked.after, asked.collections], [25, 'p2', 'u/ana']);
      const dataId = { instrument: 'CerroCam', exposure: 7, detector: 3 };
      return Promise.resolve({
        dimensions: ['instrument', 'exposure', 'detector'],
        datasets: [{ id: 'x', run: 'r', data_id: dataId }],
        next: 'p3'
      });
    }
  });
  const page = await serverSource(api, () => 25)(RAW, '', 'p2', SIGNAL);
  assert.deepEqual([page.seeds[0]?.title, page.next], ['exp 7, det 3', 'p3']);
});
