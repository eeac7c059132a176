/** What the side bar can show, select, and turn into code: plain values. */

export type CollectionKind = 'RUN' | 'TAGGED' | 'CHAINED' | 'CALIBRATION';

export type DataIdValue = string | number | boolean | null;

export type DataId = Readonly<Record<string, DataIdValue>>;

export interface RepositoryThing {
  readonly kind: 'repository';
  readonly label: string;
}

export interface CollectionThing {
  readonly kind: 'collection';
  readonly label: string;
  readonly name: string;
  readonly type: CollectionKind;
}

export interface DatasetTypeThing {
  readonly kind: 'dataset-type';
  readonly label: string;
  readonly name: string;
  /** The collection under which it was found; `null` in a list of all dataset types. */
  readonly collection: string | null;
  readonly storageClass: string;
  readonly dimensions: readonly string[];
}

export interface DatasetThing {
  readonly kind: 'dataset';
  readonly label: string;
  readonly id: string;
  readonly datasetType: string;
  readonly storageClass: string;
  readonly run: string;
  readonly dataId: DataId;
}

export interface RunThing {
  readonly kind: 'run';
  readonly id: string;
  /** `null` if its repository is none of this server's. */
  readonly label: string | null;
  readonly outputRun: string;
}

export type Thing = RepositoryThing | CollectionThing | DatasetTypeThing | DatasetThing | RunThing;

/** The letter and the words for each type of collection. */
export const COLLECTION_KINDS: Readonly<Record<CollectionKind, readonly [string, string]>> = {
  RUN: ['R', 'RUN: what one process wrote'],
  CHAINED: ['C', 'CHAINED: searched in the order of its members'],
  TAGGED: ['T', 'TAGGED: datasets chosen by hand, one for each data ID'],
  CALIBRATION: ['K', 'CALIBRATION: datasets with the dates for which they are valid']
};

/** Return a data ID as upstream prints it. */
export function dataIdText(dataId: DataId): string {
  const items = Object.entries(dataId).map(
    ([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : String(value)}`
  );
  return `{${items.join(', ')}}`;
}

/** Return the name by which one would ask for a thing. */
export function nameOf(thing: Thing): string {
  switch (thing.kind) {
    case 'repository':
      return thing.label;
    case 'collection':
    case 'dataset-type':
      return thing.name;
    case 'dataset':
      return dataIdText(thing.dataId);
    case 'run':
      return thing.outputRun;
  }
}

/** Return what tells a thing from others of its kind. */
export function identityOf(thing: Thing): string {
  return thing.kind === 'dataset' || thing.kind === 'run' ? thing.id : nameOf(thing);
}

/** Return a kind of thing in words. */
export function kindName(thing: Thing): string {
  return thing.kind === 'dataset-type' ? 'dataset type' : thing.kind;
}

const KINDS: readonly string[] = ['repository', 'collection', 'dataset-type', 'dataset', 'run'];

/** Read a thing out of the arguments of a command; `null` if there is none in them. */
export function thingFrom(args: unknown): Thing | null {
  const kind = (args as { kind?: unknown } | null | undefined)?.kind;
  return typeof kind === 'string' && KINDS.includes(kind) ? (args as Thing) : null;
}
