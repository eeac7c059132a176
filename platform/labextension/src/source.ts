/** What the tree shows, asked of the server. */

import type { Api } from './api.js';
import { count, counted } from './format.js';
import type { Page, Seed, Source } from './model.js';
import {
  COLLECTION_KINDS,
  dataIdText,
  type CollectionThing,
  type DataId,
  type DatasetTypeThing,
  type RepositoryThing
} from './things.js';
import type { CollectionRow, CountedDatasetType, DatasetRow, DatasetTypeRow } from './wire.js';

/** How many collections are listed at first, and how many at most. */
const COLLECTIONS = 500;
const MOST = 1000;

/**
 * Return the source of the tree's rows.
 *
 * @param api The server.
 * @param rowsPerPage Asked for how many datasets to fetch at a time.
 */
export function serverSource(api: Api, rowsPerPage: () => number): Source {
  return async (thing, filter, after, signal) => {
    switch (thing?.kind) {
      case undefined:
        return repositories(api, signal);
      case 'repository':
        return filter
          ? found(api, thing, filter, after, signal)
          : collections(api, { label: thing.label }, after, signal);
      case 'collection':
        return inCollection(api, thing, after, signal);
      case 'dataset-type':
        return datasets(api, thing, rowsPerPage(), after, signal);
      default:
        return { seeds: [], next: null };
    }
  };
}

async function repositories(api: Api, signal: AbortSignal): Promise<Page> {
  const answer = await api.repositories(signal);
  const seeds = answer.repositories.map(({ label, address }): Seed => {
    const thing: RepositoryThing = { kind: 'repository', label };
    return {
      thing,
      title: label,
      badge: ['', `repository ${address}`],
      note: '',
      noteWords: '',
      expandable: true
    };
  });
  return {
    seeds,
    next: null,
    empty: 'No repositories. Name them in DAF_BUTLER_REPOSITORY_INDEX, or try: lenticular demo'
  };
}

/** The collections at the top, or the members of a chain; the next page is this one and more. */
async function collections(
  api: Api,
  asked: { label: string; glob?: string; parent?: string },
  after: string | null,
  signal: AbortSignal
): Promise<Page> {
  const limit = after === null ? COLLECTIONS : Number(after);
  const { collections: rows, total } = await api.collections({ ...asked, limit }, signal);
  const left = total - rows.length;
  return {
    seeds: rows.map(row => collectionSeed(asked.label, row)),
    next: left > 0 && limit < MOST ? String(MOST) : null,
    replaces: true,
    more: `${count(left)} more; a filter is quicker`,
    rest: left > 0 ? `${count(left)} more: use the filter` : '',
    empty: asked.glob ? 'Nothing matches' : 'No collections'
  };
}

/** What a filter finds in a repository: collections wherever they are, then dataset types. */
async function found(
  api: Api,
  { label }: RepositoryThing,
  glob: string,
  after: string | null,
  signal: AbortSignal
): Promise<Page> {
  const [page, types] = await Promise.all([
    collections(api, { label, glob }, after, signal),
    api.datasetTypes({ label, glob, limit: COLLECTIONS }, signal)
  ]);
  const seeds = types.dataset_types.map(row => datasetTypeSeed(label, null, row, null));
  return { ...page, seeds: [...page.seeds, ...seeds] };
}

/** The members of a chain, then the dataset types that a collection holds. */
async function inCollection(
  api: Api,
  { label, name, type }: CollectionThing,
  after: string | null,
  signal: AbortSignal
): Promise<Page> {
  const members = type === 'CHAINED' ? collections(api, { label, parent: name }, after, signal) : null;
  const [answer, page] = await Promise.all([api.collection(label, name, signal), members]);
  const seeds = answer.dataset_types.map(row => datasetTypeSeed(label, name, row, row.count));
  return {
    next: null,
    ...page,
    seeds: [...(page?.seeds ?? []), ...seeds],
    empty: type === 'CHAINED' ? 'An empty chain' : 'No datasets'
  };
}

async function datasets(
  api: Api,
  thing: DatasetTypeThing,
  limit: number,
  after: string | null,
  signal: AbortSignal
): Promise<Page> {
  const { label, name: datasetType, collection } = thing;
  const collections = collection ?? '*';
  const answer = await api.datasets({ label, datasetType, collections, limit, after }, signal);
  return {
    seeds: answer.datasets.map(row => datasetSeed(thing, row)),
    next: answer.next,
    more: 'more datasets',
    empty: 'No datasets'
  };
}

function collectionSeed(label: string, row: CollectionRow): Seed {
  const thing: CollectionThing = { kind: 'collection', label, name: row.name, type: row.kind };
  const isChain = row.kind === 'CHAINED';
  return {
    thing,
    title: row.name,
    badge: COLLECTION_KINDS[row.kind],
    note: count(isChain ? row.children : row.dataset_types),
    noteWords: isChain ? counted(row.children, 'member') : counted(row.dataset_types, 'dataset type'),
    expandable: true
  };
}

function datasetTypeSeed(
  label: string,
  collection: string | null,
  row: DatasetTypeRow | CountedDatasetType,
  number: number | null
): Seed {
  const thing: DatasetTypeThing = {
    kind: 'dataset-type',
    label,
    name: row.name,
    collection,
    storageClass: row.storage_class,
    dimensions: row.dimensions
  };
  const by = row.dimensions.join(', ') || 'nothing';
  return {
    thing,
    title: row.name,
    badge: ['D', `dataset type: ${row.storage_class} by ${by}`],
    note: number === null ? '' : count(number),
    noteWords: number === null ? '' : counted(number, 'dataset'),
    // Datasets are listed in a collection; a dataset type of the whole repository is told, not opened.
    expandable: collection !== null
  };
}

function datasetSeed(type: DatasetTypeThing, row: DatasetRow): Seed {
  return {
    thing: {
      kind: 'dataset',
      label: type.label,
      id: row.id,
      datasetType: type.name,
      storageClass: type.storageClass,
      run: row.run,
      dataId: row.data_id
    },
    title: dataIdTitle(row.data_id),
    badge: ['', `${dataIdText(row.data_id)} in ${row.run}`],
    note: '',
    noteWords: '',
    expandable: false
  };
}

/** Dimensions by the short names that people use for them. */
const SHORT: Readonly<Record<string, string>> = {
  detector: 'det',
  exposure: 'exp',
  physical_filter: 'filter',
  day_obs: 'day'
};

/** Return a data ID in few words, without what is the same throughout. */
function dataIdTitle(dataId: DataId): string {
  const entries = Object.entries(dataId);
  const differing = entries.filter(([key]) => key !== 'instrument' && key !== 'skymap');
  const items = (differing.length > 0 ? differing : entries).map(
    ([key, value]) => `${SHORT[key] ?? key} ${String(value)}`
  );
  return items.join(', ') || 'the only one';
}
