/** The answers of the server's routes, as they come over the wire. */

import type { CollectionKind, DataId } from './things.js';

export interface RepositoriesAnswer {
  readonly repositories: readonly { readonly label: string; readonly address: string }[];
  readonly read_only: boolean;
}

export interface RepositoryAnswer {
  readonly label: string;
  readonly address: string;
  readonly registry: string;
  readonly datastores: readonly string[];
  readonly collections: number;
  readonly dataset_types: number;
}

export interface CollectionRow {
  readonly name: string;
  readonly kind: CollectionKind;
  readonly children: number;
  readonly documentation: string;
  readonly dataset_types: number;
}

export interface CollectionsAnswer {
  readonly collections: readonly CollectionRow[];
  readonly total: number;
}

export interface DatasetTypeRow {
  readonly name: string;
  readonly storage_class: string;
  readonly dimensions: readonly string[];
  readonly is_calibration: boolean;
}

export interface CountedDatasetType extends DatasetTypeRow {
  readonly count: number | null;
}

export interface CollectionAnswer {
  readonly name: string;
  readonly kind: CollectionKind;
  readonly documentation: string;
  readonly children: readonly string[];
  readonly parents: readonly string[];
  readonly dataset_types: readonly CountedDatasetType[];
}

export interface DatasetTypesAnswer {
  readonly dataset_types: readonly DatasetTypeRow[];
  readonly total: number;
}

export interface DatasetRow {
  readonly id: string;
  readonly run: string;
  readonly data_id: DataId;
}

export interface DatasetsAnswer {
  readonly dimensions: readonly string[];
  readonly datasets: readonly DatasetRow[];
  readonly next: string | null;
}

export interface DatasetAnswer {
  readonly id: string;
  readonly dataset_type: string;
  readonly storage_class: string;
  readonly dimensions: readonly string[];
  readonly run: string;
  readonly data_id: DataId;
  readonly records: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly artifacts: readonly {
    readonly uri: string;
    readonly bytes: number | null;
    readonly component: string | null;
  }[];
  readonly provenance: {
    readonly run_id: string;
    readonly pipeline: string;
    readonly created: string;
  } | null;
}

export type RunState = 'building' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'lost';

export interface TaskRow {
  readonly label: string;
  readonly quanta: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly running: number;
  readonly waiting: number;
  readonly blocked: number;
  readonly cancelled: number;
  /** Mean time of one quantum [s]. */
  readonly mean_seconds: number | null;
}

export interface RunRow {
  readonly id: string;
  readonly state: RunState;
  /** What its driver is doing, in words. */
  readonly phase: string;
  readonly output_run: string;
  readonly pipeline: string;
  /** `null` if its repository is none of this server's. */
  readonly label: string | null;
  readonly created: string;
  readonly started: string | null;
  readonly ended: string | null;
  readonly tasks: readonly TaskRow[];
  /** Share of the quanta that are over, 0 to 1. */
  readonly progress: number;
  /** Estimate of the time until all quanta are done [s]. */
  readonly eta_seconds: number | null;
  /** What kept the run as a whole from going on. */
  readonly error: string | null;
  readonly can_cancel: boolean;
  readonly can_restart: boolean;
}

export interface FailureRow {
  readonly task: string;
  readonly error: string;
  readonly message: string;
  readonly count: number;
  readonly quantum: string;
  readonly data_id: string;
  readonly log_tail: string;
}

export interface RunAnswer extends RunRow {
  readonly inputs: readonly string[];
  readonly where: string;
  readonly workers: number;
  readonly failures: readonly FailureRow[];
  readonly log_tail: string;
}

export interface RunsAnswer {
  readonly runs: readonly RunRow[];
  readonly total: number;
}

export interface GraphTask {
  readonly label: string;
  readonly task_class: string;
  readonly dimensions: readonly string[];
  readonly quanta: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface GraphDatasetType {
  readonly name: string;
  readonly storage_class: string;
  readonly dimensions: readonly string[];
  /** Number of datasets to be made; `null` for one that is only read. */
  readonly count: number | null;
}

export interface GraphAnswer {
  readonly tasks: readonly GraphTask[];
  readonly dataset_types: readonly GraphDatasetType[];
  /** From, to (labels of tasks and names of dataset types), number of datasets if it is known. */
  readonly edges: readonly (readonly [string, string, number | null])[];
  readonly header: Readonly<Record<string, unknown>>;
}

export interface QuantaAnswer {
  readonly columns: readonly string[];
  readonly quanta: readonly { readonly id: string; readonly data_id: DataId }[];
  readonly total: number;
}

export interface Hdu {
  readonly index: number;
  readonly name: string;
  /** `image`, `table` or `other`. */
  readonly type: string;
  /** Of an image pixels, slowest axis first; of a table rows. */
  readonly shape: readonly number[];
  readonly bitpix: number | null;
  readonly compression: string | null;
  /** `image`, `mask` or `variance`, if it is this plane of an exposure. */
  readonly plane: string | null;
  /** Of a mask the value of each mask plane's bit. */
  readonly planes: Readonly<Record<string, number>>;
  /** Whether a picture of it can be had. */
  readonly picture: boolean;
}

export interface FitsAnswer {
  readonly hdus: readonly Hdu[];
}

export interface HeaderAnswer {
  readonly cards: readonly (readonly [string, string | number | boolean | null, string])[];
}
