import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError } from '../src/api.js';
import { TreeModel, globOf, type Page, type Seed } from '../src/model.js';
import type { Thing } from '../src/things.js';
import { deferred } from './support.js';

function repository(label: string): Seed {
  return seed({ kind: 'repository', label }, label);
}

function collection(name: string): Seed {
  return seed({ kind: 'collection', label: 'demo', name, type: 'CHAINED' }, name);
}

function seed(thing: Thing, title: string): Seed {
  return { thing, title, badge: ['', ''], note: '', noteWords: '', expandable: true };
}

/** Return a tree of one repository with the collections a and b, and what it asked for. */
function demo(children: Record<string, Page> = {}): { tree: TreeModel; asked: string[] } {
  const asked: string[] = [];
  const pages = children;
  pages[''] = { seeds: [repository('demo')], next: null };
  pages['demo'] = { seeds: [collection('a'), collection('b')], next: null };
  const tree = new TreeModel((thing, filter, after) => {
    const name =
      thing === null ? '' : thing.kind === 'repository' ? thing.label : (thing as { name: string }).name;
    const key = [name, filter, after].filter(Boolean).join('|');
    asked.push(key);
    return Promise.resolve(pages[key] ?? { seeds: [], next: null, empty: 'empty' });
  });
  return { tree, asked };
}

function shown(tree: TreeModel): string[] {
  return tree.rows.map(row => (row.kind === 'node' ? row.node.title : `(${row.text})`));
}

function keyOf(tree: TreeModel, title: string): string {
  const row = tree.rows.find(candidate => candidate.kind === 'node' && candidate.node.title === title);
  assert.ok(row, `no row ${title}`);
  return row.key;
}

test('children are fetched when a node is first opened, and only then', async () => {
  const { tree, asked } = demo();
  await tree.refresh();
  assert.deepEqual(shown(tree), ['demo']);
  await tree.expand(keyOf(tree, 'demo'));
  tree.collapse(keyOf(tree, 'demo'));
  await tree.expand(keyOf(tree, 'demo'));
  assert.deepEqual(shown(tree), ['demo', 'a', 'b']);
  assert.deepEqual(asked, ['', 'demo']);
});

test('rows tell their level and place', async () => {
  const { tree } = demo();
  await tree.refresh();
  await tree.expand(keyOf(tree, 'demo'));
  const places = tree.rows.map(row => row.kind === 'node' && [row.node.level, ...row.position]);
  assert.deepEqual(places, [
    [1, 1, 1],
    [2, 1, 2],
    [2, 2, 2]
  ]);
});

test('a collection without anything says so', async () => {
  const { tree } = demo();
  await tree.refresh();
  await tree.expand(keyOf(tree, 'demo'));
  await tree.expand(keyOf(tree, 'a'));
  assert.deepEqual(shown(tree), ['demo', 'a', '(empty)', 'b']);
});

test('pages follow each other', async () => {
  const { tree } = demo({
    a: { seeds: [collection('1')], next: 'p2', more: 'more' },
    'a|p2': { seeds: [collection('2')], next: null }
  });
  await tree.refresh();
  await tree.expand(keyOf(tree, 'demo'));
  await tree.expand(keyOf(tree, 'a'));
  assert.deepEqual(shown(tree), ['demo', 'a', '1', '(more)', 'b']);
  await tree.more(keyOf(tree, 'a'));
  assert.deepEqual(shown(tree), ['demo', 'a', '1', '2', 'b']);
});

test('what is open is kept over a reload', async () => {
  const before = demo({ a: { seeds: [collection('1')], next: null } });
  await before.tree.refresh();
  await before.tree.expand(keyOf(before.tree, 'demo'));
  await before.tree.expand(keyOf(before.tree, 'a'));
  before.tree.select(keyOf(before.tree, '1'));
  const { tree } = demo({ a: { seeds: [collection('1')], next: null } });
  tree.restore(JSON.parse(JSON.stringify(before.tree.state)));
  await tree.refresh();
  assert.deepEqual(shown(tree), ['demo', 'a', '1', 'b']);
  assert.equal(tree.selected?.title, '1');
});

test('a refresh keeps what is still there and drops what is gone', async () => {
  const pages: Record<string, Page> = {};
  pages['a'] = { seeds: [collection('1'), collection('2')], next: null };
  const { tree: kept } = demo(pages);
  await kept.refresh();
  await kept.expand(keyOf(kept, 'demo'));
  await kept.expand(keyOf(kept, 'a'));
  const before = kept.rows[2];
  pages['a'] = { seeds: [collection('1')], next: null };
  await kept.refresh();
  assert.deepEqual(shown(kept), ['demo', 'a', '1', 'b']);
  assert.equal(before?.kind === 'node' && before.node, kept.rows[2]?.kind === 'node' && kept.rows[2].node);
});

test('a filter opens repositories and its end closes them again', async () => {
  const { tree, asked } = demo({ 'demo|*fla*': { seeds: [collection('flat')], next: null } });
  await tree.refresh();
  await tree.setFilter('fla');
  assert.deepEqual(shown(tree), ['demo', 'flat']);
  await tree.setFilter('');
  assert.deepEqual(shown(tree), ['demo']);
  assert.deepEqual(asked, ['', 'demo|*fla*']);
});

test('a word is looked for anywhere, a glob is taken as it is', () => {
  assert.deepEqual(['', ' coadd ', 'u/*', 'a?'].map(globOf), ['', '*coadd*', 'u/*', 'a?']);
});

test('a failure is a row, and trying again mends it', async () => {
  let away = true;
  const tree = new TreeModel(thing => {
    if (thing && away) {
      return Promise.reject(new ApiError({ status: 503, kind: 'X', what: 'Store is away', hint: 'Wait' }));
    }
    return Promise.resolve({ seeds: [thing ? collection('a') : repository('demo')], next: null });
  });
  await tree.refresh();
  await tree.expand(keyOf(tree, 'demo'));
  assert.deepEqual(shown(tree), ['demo', '(Store is away. Wait)']);
  assert.equal(tree.hasFailed, true);
  away = false;
  await tree.retry();
  assert.deepEqual(shown(tree), ['demo', 'a']);
  assert.equal(tree.hasFailed, false);
});

test('an answer that comes too late does not count', async () => {
  const slow = deferred<Page>();
  const pages = [slow.promise, Promise.resolve({ seeds: [repository('new')], next: null })];
  const tree = new TreeModel(() => pages.shift()!);
  const first = tree.refresh();
  await tree.refresh();
  slow.resolve({ seeds: [repository('old')], next: null });
  await first;
  assert.deepEqual(shown(tree), ['new']);
});

test('choosing another row is told once', async () => {
  const { tree } = demo();
  await tree.refresh();
  let told = 0;
  tree.selectionChanged.connect(() => told++);
  tree.select(keyOf(tree, 'demo'));
  tree.select(keyOf(tree, 'demo'));
  assert.equal(told, 1);
});
