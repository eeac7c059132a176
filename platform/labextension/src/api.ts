/** A typed client of the server's routes, with one kind of error. */

import type * as wire from './wire.js';

/** Send a request for a path below `lenticular/api/`. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

export interface ErrorParts {
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  readonly kind: string;
  readonly what: string;
  readonly where?: string | null | undefined;
  readonly hint?: string | null | undefined;
}

/** Something went wrong: what, where, and what to do. */
export class ApiError extends Error {
  constructor(parts: ErrorParts) {
    super(parts.what);
    this.name = 'ApiError';
    this.status = parts.status;
    this.kind = parts.kind;
    this.where = parts.where ?? '';
    this.hint = parts.hint ?? '';
  }

  /** Whether the server did not answer at all, or only something in front of it did. */
  get isUnreachable(): boolean {
    return this.kind === 'Unreachable';
  }

  readonly status: number;
  readonly kind: string;
  readonly where: string;
  readonly hint: string;
}

/** Return any failure as an `ApiError`. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  const what = error instanceof Error ? error.message : String(error);
  return new ApiError({ status: 0, kind: 'Fault', what });
}

/** Whether a request was given up by the one who asked. */
export function isAborted(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

type Parameters = Readonly<Record<string, string | number | null | undefined>>;

const LIMIT_MS = 60_000;

/** The server's routes. */
export class Api {
  /**
   * @param send How a request is sent.
   * @param limit Time after which no answer counts as none [ms].
   */
  constructor(send: Send, limit: number = LIMIT_MS) {
    this._send = send;
    this._limit = limit;
  }

  repositories(signal?: AbortSignal): Promise<wire.RepositoriesAnswer> {
    return this._get('repositories', {}, signal);
  }

  repository(label: string, signal?: AbortSignal): Promise<wire.RepositoryAnswer> {
    return this._get('repository', { label }, signal);
  }

  collections(
    asked: { label: string; glob?: string; parent?: string; limit?: number },
    signal?: AbortSignal
  ): Promise<wire.CollectionsAnswer> {
    return this._get('collections', asked, signal);
  }

  collection(label: string, name: string, signal?: AbortSignal): Promise<wire.CollectionAnswer> {
    return this._get('collection', { label, name }, signal);
  }

  datasetTypes(
    asked: { label: string; glob?: string; limit?: number },
    signal?: AbortSignal
  ): Promise<wire.DatasetTypesAnswer> {
    return this._get('dataset-types', asked, signal);
  }

  datasets(
    asked: {
      label: string;
      datasetType: string;
      collections: string;
      limit?: number;
      after?: string | null;
    },
    signal?: AbortSignal
  ): Promise<wire.DatasetsAnswer> {
    const { datasetType, ...others } = asked;
    return this._get('datasets', { ...others, dataset_type: datasetType }, signal);
  }

  dataset(label: string, id: string, signal?: AbortSignal): Promise<wire.DatasetAnswer> {
    return this._get('dataset', { label, id }, signal);
  }

  runs(asked: { limit?: number; before?: string }, signal?: AbortSignal): Promise<wire.RunsAnswer> {
    return this._get('runs', asked, signal);
  }

  run(id: string, signal?: AbortSignal): Promise<wire.RunAnswer> {
    return this._get('run', { id }, signal);
  }

  cancelRun(id: string): Promise<wire.RunRow> {
    return this._post('run/cancel', { id });
  }

  restartRun(id: string): Promise<wire.RunRow> {
    return this._post('run/restart', { id });
  }

  graph(path: string, signal?: AbortSignal): Promise<wire.GraphAnswer> {
    return this._get('graph', { path }, signal);
  }

  quanta(
    asked: { path: string; task: string; limit: number; offset: number },
    signal?: AbortSignal
  ): Promise<wire.QuantaAnswer> {
    return this._get('graph/quanta', asked, signal);
  }

  fits(path: string, signal?: AbortSignal): Promise<wire.FitsAnswer> {
    return this._get('fits', { path }, signal);
  }

  fitsHeader(path: string, hdu: number, signal?: AbortSignal): Promise<wire.HeaderAnswer> {
    return this._get('fits/header', { path, hdu }, signal);
  }

  /** A picture of an HDU as PNG, and how many pixels of the image one of the picture stands for. */
  async fitsPicture(
    asked: { path: string; hdu: number; stretch: string; limits: string; size: number },
    signal?: AbortSignal
  ): Promise<{ picture: Blob; scale: number }> {
    return this._ask(withParameters('fits/picture', asked), {}, signal, async response => ({
      picture: await response.blob(),
      scale: Number(response.headers.get('X-Lenticular-Scale') ?? '1') || 1
    }));
  }

  private _get<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
    return this._ask(withParameters(path, parameters), {}, signal, readJson<T>);
  }

  private _post<T>(path: string, body: unknown): Promise<T> {
    const headers = { 'Content-Type': 'application/json' };
    return this._ask(path, { method: 'POST', headers, body: JSON.stringify(body) }, undefined, readJson<T>);
  }

  private async _ask<T>(
    path: string,
    init: RequestInit,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>
  ): Promise<T> {
    const control = new AbortController();
    const abort = (): void => control.abort();
    let late = false;
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) {
      abort();
    }
    const timer = setTimeout(() => {
      late = true;
      abort();
    }, this._limit);
    try {
      const response = await this._send(path, { ...init, signal: control.signal });
      if (!response.ok) {
        throw await refusal(response);
      }
      return await read(response);
    } catch (error) {
      if (error instanceof ApiError) {
        throw error;
      }
      if (signal?.aborted) {
        throw new DOMException('The request was given up', 'AbortError');
      }
      throw unreachable(late ? `no answer within ${Math.round(this._limit / 1000)} s` : '');
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  private readonly _send: Send;
  private readonly _limit: number;
}

function withParameters(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null) {
      query.set(name, String(value));
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function readJson<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAborted(error)) {
      throw error;
    }
    // A hub's log-in page, for example, comes with status 200.
    throw new ApiError({
      status: response.status,
      kind: 'UnexpectedAnswer',
      what: 'The server answered with something else than data',
      hint: 'You may have been signed out. Reload this page.'
    });
  }
}

function unreachable(detail: string): ApiError {
  return new ApiError({
    status: 0,
    kind: 'Unreachable',
    what: 'The server does not answer',
    where: detail,
    hint: 'It is asked again by itself. If it stays away, see whether Jupyter still runs.'
  });
}

/** Make the error of a response that is one. */
async function refusal(response: Response): Promise<ApiError> {
  const { status } = response;
  const text = await response.text();
  let error: Partial<Record<'kind' | 'what' | 'where' | 'hint', string | null>> | undefined;
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error;
  } catch {
    error = undefined;
  }
  if (error && typeof error === 'object' && error.what) {
    return new ApiError({
      status,
      kind: error.kind ?? 'Error',
      what: error.what,
      where: error.where,
      hint: error.hint
    });
  }
  return new ApiError({ status, ...unexplained(status) });
}

/** Say what a status means that came without the server extension's own words. */
function unexplained(status: number): Omit<ErrorParts, 'status'> {
  if (status === 401 || status === 403) {
    return { kind: 'NotSignedIn', what: 'You are not signed in', hint: 'Reload this page to sign in again.' };
  }
  if (status === 404) {
    return {
      kind: 'NotEnabled',
      what: 'The server does not know lenticular',
      hint: 'Enable its server extension: jupyter server extension enable lenticular.platform.server'
    };
  }
  if (status === 502 || status === 503 || status === 504) {
    return {
      kind: 'Unreachable',
      what: 'The server does not answer',
      where: `HTTP status ${status}`,
      hint: 'It is asked again by itself. On a hub, see whether your server still runs.'
    };
  }
  return {
    kind: 'Error',
    what: `The server failed (HTTP status ${status})`,
    hint: 'The log of the Jupyter server has more.'
  };
}
