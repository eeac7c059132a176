import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as format from '../src/format.js';
import { DEFAULTS, checked } from '../src/settings.js';
import { dataIdText, thingFrom } from '../src/things.js';
import { viewOf } from '../src/views.js';

test('numbers, sizes and times are told as people read them', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(format.count), [
    '0',
    '999',
    '1\u2009000',
    '1\u2009234\u2009567'
  ]);
  assert.deepEqual([0, 999, 1500, 123_456_789].map(format.bytes), ['0 B', '999 B', '1.5 kB', '123 MB']);
  assert.deepEqual([0, 0.999, 1].map(format.percent), ['0 %', '99 %', '100 %']);
  assert.deepEqual([3, 90, 3600, 400_000].map(format.duration), ['3 s', '2 min', '1 h 0 min', '5 days']);
  assert.equal(format.ago('2026-11-22T12:00:00Z', Date.parse('2026-11-22T12:00:30Z')), '30 s ago');
  assert.equal(format.ago(null, 0), '');
});

test('a data ID is written as upstream writes it', () => {
  assert.equal(dataIdText({ instrument: 'CerroCam', detector: 3 }), "{instrument: 'CerroCam', detector: 3}");
});

test('a thing is known among the arguments of a command', () => {
  assert.equal(thingFrom({ id: 'a' }), null);
  assert.equal(thingFrom(undefined), null);
  assert.deepEqual(thingFrom({ kind: 'repository', label: 'demo' }), { kind: 'repository', label: 'demo' });
});

test('an image opens in the view of exposures, anything else in the workbench', () => {
  const dataset = {
    kind: 'dataset',
    label: 'demo',
    id: 'x',
    datasetType: 'preliminary_visit_image',
    storageClass: 'VisitImage',
    run: 'u/ana/1',
    dataId: { instrument: 'CerroCam', visit: 7, detector: 0, htm7: 3 }
  } as const;
  assert.deepEqual(viewOf(dataset), {
    view: 'exposure',
    parameters: {
      label: 'demo',
      collection: 'u/ana/1',
      dataset_type: 'preliminary_visit_image',
      instrument: 'CerroCam',
      visit: '7',
      detector: '0'
    },
    title: 'preliminary_visit_image'
  });
  assert.equal(viewOf({ ...dataset, storageClass: 'ArrowAstropy' }).view, 'workbench');
});

test('settings of the wrong type take their defaults', () => {
  assert.deepEqual(checked({ pollInterval: 5, rowsPerPage: 'many' }), { ...DEFAULTS, pollInterval: 5 });
});

test('the schema has the same settings and defaults', () => {
  const schema = JSON.parse(readFileSync('schema/plugin.json', 'utf8')) as {
    properties: Record<string, { default: unknown }>;
  };
  const defaults = Object.entries(schema.properties).map(([name, property]) => [name, property.default]);
  assert.deepEqual(Object.fromEntries(defaults), DEFAULTS);
});

test('every command and setting is documented', () => {
  const documented = readFileSync('../../docs/lab.md', 'utf8');
  const source = readFileSync('src/commands.ts', 'utf8');
  const names = [...source.matchAll(/'(lenticular:[a-z-]+)'/g)].map(match => match[1]!);
  assert.ok(names.length > 5);
  assert.deepEqual(
    [...names, ...Object.keys(DEFAULTS)].filter(name => !documented.includes(`\`${name}\``)),
    []
  );
});
