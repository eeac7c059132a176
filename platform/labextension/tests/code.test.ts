import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { codeFor } from '../src/code.js';
import { identifier, literal, statements } from '../src/python.js';
import type { CollectionThing, DatasetThing, DatasetTypeThing, Thing } from '../src/things.js';

const COLLECTION: CollectionThing = { kind: 'collection', label: 'demo', name: 'u/ana', type: 'CHAINED' };
const TYPE: DatasetTypeThing = {
  kind: 'dataset-type',
  label: 'demo',
  name: 'raw',
  collection: 'CerroCam/defaults',
  storageClass: 'RawImage',
  dimensions: ['instrument', 'exposure', 'detector']
};
const DATASET: DatasetThing = {
  kind: 'dataset',
  label: 'demo',
  id: '0b4c1d50-5b0f-4a3e-8d62-1f1f0f3f0c11',
  datasetType: 'raw',
  storageClass: 'RawImage',
  run: 'CerroCam/raw/all',
  dataId: { instrument: 'CerroCam', exposure: 61101001, detector: 0 }
};
const OPENED = 'from lenticular.butler import Repository\n\nrepository = Repository.open("demo")\nrepository';

test('a repository is opened and shown', () => {
  assert.equal(codeFor({ kind: 'repository', label: 'demo' }), OPENED);
});

test('a collection is described', () => {
  assert.equal(codeFor(COLLECTION), `${OPENED.replace(/\nrepository$/, '')}\nrepository.collection("u/ana")`);
});

test('a dataset type becomes a table of its datasets', () => {
  const code = codeFor(TYPE, [OPENED]);
  assert.equal(code, 'datasets = repository.datasets("raw", "CerroCam/defaults")\ndatasets.to_pandas()');
});

test('a dataset type of no collection is described', () => {
  const code = codeFor({ ...TYPE, collection: null }, [OPENED]);
  assert.equal(code, 'repository.butler.get_dataset_type("raw")');
});

test('a dataset is read by its data ID', () => {
  assert.equal(
    codeFor(DATASET, [OPENED]),
    [
      'data_id = {"instrument": "CerroCam", "exposure": 61101001, "detector": 0}',
      'raw = repository.butler.get("raw", data_id, collections="CerroCam/raw/all")',
      'raw'
    ].join('\n')
  );
});

test('a dataset whose data ID the browser cannot hold is read by its identifier', () => {
  const code = codeFor({ ...DATASET, dataId: { healpix29: 2 ** 60 } }, [OPENED]);
  assert.match(code, /^from uuid import UUID\n\ndataset = repository\.butler\.get_dataset\(/);
  assert.match(code, /\nraw = repository\.butler\.get\(dataset\)\nraw$/);
});

test('a run is found by its identifier', () => {
  const thing: Thing = { kind: 'run', id: '2026-a', label: null, outputRun: 'u/ana/2026' };
  assert.equal(
    codeFor(thing),
    'from lenticular.platform.runs import RunStore\n\nrun = RunStore().get("2026-a")\nrun'
  );
});

test('an import that the notebook has is not repeated', () => {
  const above = ['from lenticular.butler import (\n    Repository,  # the door\n    labels,\n)'];
  assert.equal(
    codeFor({ kind: 'repository', label: 'demo' }, above),
    'repository = Repository.open("demo")\nrepository'
  );
});

test('an import under another name, in a function or in a text does not count', () => {
  for (const above of [
    'from lenticular.butler import Repository as R',
    'def f():\n    from lenticular.butler import Repository',
    'text = """\nfrom lenticular.butler import Repository\n"""',
    '# from lenticular.butler import Repository',
    '%%bash\nfrom lenticular.butler import Repository'
  ]) {
    assert.match(codeFor(COLLECTION, [above]), /^from lenticular\.butler import Repository\n/, above);
  }
});

test('an open repository is used under the name that it has', () => {
  const above = ["from lenticular.butler import Repository; repo = Repository.open('demo', writeable=True)"];
  assert.equal(codeFor(COLLECTION, above), 'repo.collection("u/ana")');
});

test('a repository that was closed, deleted or replaced is opened again', () => {
  for (const after of ['repository.close()', 'del repository', 'repository = None']) {
    assert.match(codeFor(COLLECTION, [OPENED, after]), /Repository\.open\("demo"\)/, after);
  }
});

test('another repository does not take the variable of the first', () => {
  const code = codeFor({ ...COLLECTION, label: 'main' }, [OPENED]);
  assert.equal(code, 'main_repository = Repository.open("main")\nmain_repository.collection("u/ana")');
});

test('a line that is too long is broken as a formatter would', () => {
  const code = codeFor({ ...DATASET, run: `u/ana/${'long/'.repeat(14)}run` }, [OPENED]);
  assert.match(code, /raw = repository\.butler\.get\(\n {4}"raw",\n {4}data_id,\n {4}collections="u/);
  assert.match(code, /,\n\)\nraw$/);
});

test('names become variables that hide nothing', () => {
  assert.equal(identifier('deep-coadd.wcs'), 'deep_coadd_wcs');
  assert.equal(identifier('2mass'), '_2mass');
  assert.equal(identifier('filter'), 'filter_');
  assert.equal(identifier('lambda'), 'lambda_');
  assert.match(codeFor({ ...DATASET, datasetType: 'repository' }), /\nrepository_ = repository\.butler\.get/);
});

test('values become literals', () => {
  assert.deepEqual(
    ['a"b\\c\n', 7, true, false, null].map(value => literal(value)),
    ['"a\\"b\\\\c\\n"', '7', 'True', 'False', 'None']
  );
});

test('statements are told apart over brackets, strings and comments', () => {
  assert.deepEqual(statements('a = (1,\n  2)  # two\nb = "x;y"; c = 3\nif a:\n    d = 4\n'), [
    'a = (1,\n  2)',
    'b = "x;y"',
    'c = 3',
    'if a:'
  ]);
});

test('what is made is Python', () => {
  const hostile = 'a"); import os; ("\\\n\u2028\'';
  const things: Thing[] = [
    { kind: 'repository', label: hostile },
    { ...COLLECTION, name: hostile },
    { ...TYPE, name: hostile },
    { ...DATASET, datasetType: hostile, run: hostile, dataId: { instrument: hostile, exposure: 2 ** 60 } },
    { ...DATASET, datasetType: 'class', dataId: { instrument: hostile, detector: 1, on: true, no: null } },
    { kind: 'run', id: hostile, label: null, outputRun: '' }
  ];
  // Each must be imports, assignments and, at the end, one expression; nothing may break out of a text.
  const check = [
    'import ast, json, sys',
    'for source in json.load(sys.stdin):',
    '    kinds = [type(node).__name__ for node in ast.parse(source).body]',
    '    assert kinds[-1] == "Expr" and set(kinds[:-1]) <= {"ImportFrom", "Assign"}, source',
    '    assert "os" not in [a.name for n in ast.walk(ast.parse(source)) for a in getattr(n, "names", [])], source'
  ].join('\n');
  const input = JSON.stringify(things.map(thing => codeFor(thing)));
  const done = spawnSync('python3', ['-c', check], { input, encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
});
