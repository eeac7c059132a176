/** Which served view shows a thing. */

import type { Thing } from './things.js';

/** A served view and what it is asked to show. */
export interface ViewRequest {
  readonly view: 'workbench' | 'collections' | 'run' | 'exposure';
  readonly parameters: Readonly<Record<string, string>>;
  readonly title: string;
}

/** Parts of a data ID that the view of an exposure can be given. */
const DATA_ID = [
  'instrument',
  'exposure',
  'visit',
  'detector',
  'tract',
  'patch',
  'band',
  'physical_filter',
  'skymap'
];

/** Whether the view of exposures can show datasets of a storage class. */
export function isPicture(storageClass: string): boolean {
  return /Image|Exposure/.test(storageClass) && !/Stats|Summary|Metadata/.test(storageClass);
}

/** Return the view in which a thing is best seen. */
export function viewOf(thing: Thing): ViewRequest {
  switch (thing.kind) {
    case 'repository':
      return workbench(thing.label, {});
    case 'collection':
      return workbench(thing.label, { collection: thing.name });
    case 'dataset-type':
      return workbench(thing.label, thing.collection === null ? {} : { collection: thing.collection });
    case 'dataset': {
      if (!isPicture(thing.storageClass)) {
        return workbench(thing.label, { collection: thing.run });
      }
      const values = Object.entries(thing.dataId).filter(
        ([key, value]) => DATA_ID.includes(key) && value !== null
      );
      const dataId = Object.fromEntries(values.map(([key, value]) => [key, String(value)]));
      return {
        view: 'exposure',
        parameters: {
          label: thing.label,
          collection: thing.run,
          dataset_type: thing.datasetType,
          ...dataId
        },
        title: thing.datasetType
      };
    }
    case 'run':
      return {
        view: 'run',
        parameters: { ...(thing.label === null ? {} : { label: thing.label }), run: thing.id },
        title: `Run ${thing.outputRun || thing.id}`
      };
  }
}

function workbench(label: string, others: Readonly<Record<string, string>>): ViewRequest {
  return { view: 'workbench', parameters: { label, ...others }, title: `Workbench: ${label}` };
}
