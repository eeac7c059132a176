import assert from 'node:assert/strict';
import { test } from 'node:test';

import { datasetTypeId, layout, pathOf, taskId, type Drawing } from '../src/graphlayout.js';
import type { GraphAnswer } from '../src/wire.js';

/** Make a graph of tasks with what they read and write. */
function graph(tasks: Record<string, { inputs: string[]; outputs: string[] }>): GraphAnswer {
  const names = [...new Set(Object.values(tasks).flatMap(task => [...task.inputs, ...task.outputs]))];
  return {
    tasks: Object.entries(tasks).map(([label, task]) => ({
      label,
      task_class: '',
      dimensions: [],
      quanta: 3,
      ...task
    })),
    dataset_types: names.map(name => ({ name, storage_class: 'Image', dimensions: [], count: 3 })),
    edges: Object.entries(tasks).flatMap(([label, { inputs, outputs }]) => [
      ...inputs.map((name): [string, string, number] => [name, label, 3]),
      ...outputs.map((name): [string, string, number] => [label, name, 3])
    ]),
    header: {}
  };
}

const NIGHT = graph({
  isr: { inputs: ['raw', 'bias', 'flat', 'camera'], outputs: ['post_isr_image'] },
  calibrateImage: { inputs: ['post_isr_image', 'camera', 'refcat'], outputs: ['visit_image', 'stars'] },
  summary: { inputs: ['visit_image'], outputs: ['visit_summary'] },
  warp: { inputs: ['visit_image', 'visit_summary', 'skyMap'], outputs: ['warp_image'] }
});

function node(drawing: Drawing, id: string): Drawing['nodes'][number] {
  const found = drawing.nodes.find(candidate => candidate.id === id);
  assert.ok(found, id);
  return found;
}

test('every edge leads from left to right, and begins and ends at its nodes', () => {
  const drawing = layout(NIGHT);
  assert.equal(drawing.edges.length, NIGHT.edges.length);
  for (const edge of drawing.edges) {
    const [from, to] = [node(drawing, edge.from), node(drawing, edge.to)];
    assert.ok(from.x + from.width < to.x, `${edge.from} -> ${edge.to}`);
    assert.deepEqual(edge.points[0], [from.x + from.width, from.y + from.height / 2]);
    assert.deepEqual(edge.points.at(-1), [to.x, to.y + to.height / 2]);
  }
});

test('no two nodes lie upon each other, and all are within the drawing', () => {
  const drawing = layout(NIGHT);
  for (const a of drawing.nodes) {
    assert.ok(
      a.x >= 0 && a.y >= 0 && a.x + a.width <= drawing.width && a.y + a.height <= drawing.height,
      a.id
    );
    for (const b of drawing.nodes) {
      const apart =
        a === b ||
        a.x + a.width <= b.x ||
        b.x + b.width <= a.x ||
        a.y + a.height <= b.y ||
        b.y + b.height <= a.y;
      assert.ok(apart, `${a.id} and ${b.id}`);
    }
  }
});

test('an input stands just before its first use', () => {
  const drawing = layout(NIGHT);
  const [refcat, isr] = [node(drawing, datasetTypeId('refcat')), node(drawing, taskId('isr'))];
  assert.ok(refcat.x > isr.x);
});

test('an edge over several layers goes around what is between', () => {
  const drawing = layout(NIGHT);
  const long = drawing.edges.find(
    edge => edge.from === datasetTypeId('visit_image') && edge.to === taskId('warp')
  );
  assert.equal(long?.points.length, 4);
  for (const [x, y] of long?.points.slice(1, -1) ?? []) {
    const hit = drawing.nodes.find(n => x > n.x && x < n.x + n.width && y > n.y && y < n.y + n.height);
    assert.equal(hit, undefined);
  }
});

test('crossings that can be avoided are', () => {
  const drawing = layout(
    graph({ one: { inputs: ['a'], outputs: ['c'] }, two: { inputs: ['b'], outputs: ['d'] } })
  );
  const y = (id: string): number => node(drawing, id).y;
  const above = y(taskId('one')) < y(taskId('two'));
  assert.equal(y(datasetTypeId('a')) < y(datasetTypeId('b')), above);
  assert.equal(y(datasetTypeId('c')) < y(datasetTypeId('d')), above);
});

test('a dataset type may be called like a task', () => {
  const drawing = layout(graph({ isr: { inputs: ['raw'], outputs: ['isr'] } }));
  assert.deepEqual(
    drawing.edges.map(edge => [edge.from, edge.to]),
    [
      [datasetTypeId('raw'), taskId('isr')],
      [taskId('isr'), datasetTypeId('isr')]
    ]
  );
});

test('a file that claims a cycle is drawn all the same', () => {
  const drawing = layout(
    graph({ one: { inputs: ['a'], outputs: ['b'] }, two: { inputs: ['b'], outputs: ['a'] } })
  );
  assert.equal(drawing.nodes.length, 4);
  assert.ok(Number.isFinite(drawing.width) && Number.isFinite(drawing.height));
});

test('an empty graph is an empty drawing', () => {
  assert.deepEqual(layout(graph({})).nodes, []);
});

test('a path is smooth', () => {
  assert.equal(
    pathOf([
      [0, 0],
      [10, 20]
    ]),
    'M0 0C5 0 5 20 10 20'
  );
});
