import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Api, ApiError, isAborted, type Send } from '../src/api.js';
import { answer } from './support.js';

/** Ask for repositories and return the error that comes of it. */
async function failure(send: Send, limit?: number): Promise<ApiError> {
  try {
    await new Api(send, limit).repositories();
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error;
  }
  throw new assert.AssertionError({ message: 'There was no error' });
}

const replying =
  (body: string, status: number): Send =>
  () =>
    Promise.resolve(new Response(body, { status }));

test('names with slashes and commas travel as parameters', async () => {
  const asked: string[] = [];
  const api = new Api(path => {
    asked.push(path);
    return Promise.resolve(answer({}));
  });
  await api.collection('demo', 'u/ana/a b&c');
  await api.datasets({ label: 'demo', datasetType: 'raw', collections: 'u/ana', limit: 5, after: null });
  assert.deepEqual(asked, [
    'collection?label=demo&name=u%2Fana%2Fa+b%26c',
    'datasets?label=demo&collections=u%2Fana&limit=5&dataset_type=raw'
  ]);
});

test("the server's own words are kept", async () => {
  const error = { kind: 'NotFoundError', what: 'No collection', where: 'demo', hint: 'Did you mean u/ana?' };
  const found = await failure(() => Promise.resolve(answer({ error }, 404)));
  assert.deepEqual(
    [found.status, found.kind, found.message, found.where, found.hint],
    [404, ...Object.values(error)]
  );
  assert.equal(found.isUnreachable, false);
});

test('an error without the envelope says what to do', async () => {
  assert.match((await failure(replying('<html>', 404))).hint, /jupyter server extension enable/);
  assert.match((await failure(replying('{"message": "Forbidden"}', 403))).message, /not signed in/);
  assert.match((await failure(replying('', 500))).message, /500/);
});

test('a proxy without a server behind it counts as no answer', async () => {
  for (const status of [502, 503, 504]) {
    assert.equal((await failure(replying('<html>', status))).isUnreachable, true);
  }
});

test("a store that the server's repository cannot reach does not", async () => {
  const error = { kind: 'StoreUnreachableError', what: 'The store is away', hint: 'Wait' };
  assert.equal((await failure(() => Promise.resolve(answer({ error }, 503)))).isUnreachable, false);
});

test('a broken connection counts as no answer', async () => {
  const found = await failure(() => Promise.reject(new TypeError('Failed to fetch')));
  assert.equal(found.isUnreachable, true);
  assert.match(found.message, /does not answer/);
});

test("a hub's log-in page is not data", async () => {
  assert.equal((await failure(replying('<html>log in</html>', 200))).kind, 'UnexpectedAnswer');
});

test('an answer that does not come is waited for only so long', async () => {
  const never: Send = (_, init) =>
    new Promise((_resolve, reject) => {
      init.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    });
  assert.equal((await failure(never, 5)).isUnreachable, true);
});

test('a request that is given up is no error of the server', async () => {
  const control = new AbortController();
  const never: Send = (_, init) =>
    new Promise((_resolve, reject) => {
      init.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    });
  const asked = new Api(never).run('a', control.signal);
  control.abort();
  await assert.rejects(asked, error => isAborted(error));
});

test('a picture comes with its scale', async () => {
  const api = new Api(() => Promise.resolve(new Response('png', { headers: { 'X-Lenticular-Scale': '4' } })));
  const { picture, scale } = await api.fitsPicture({
    path: 'a',
    hdu: 1,
    stretch: 'log',
    limits: '99',
    size: 64
  });
  assert.deepEqual([picture.size, scale], [3, 4]);
});
