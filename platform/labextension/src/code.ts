/** The Python that a thing of the side bar stands for. */

import { Earlier, assignedCall, assignedDataId, identifier, importLine, literal } from './python.js';
import type { DatasetThing, Thing } from './things.js';

type Import = readonly [module: string, name: string];

const REPOSITORY: Import = ['lenticular.butler', 'Repository'];
const RUN_STORE: Import = ['lenticular.platform.runs', 'RunStore'];
const UUID: Import = ['uuid', 'UUID'];

/**
 * Return code that works where it is put, and that ends with what shows something.
 *
 * @param thing What was clicked at or dragged.
 * @param above Sources of the code cells above, whose imports and open repositories are not repeated.
 */
export function codeFor(thing: Thing, above: readonly string[] = []): string {
  const earlier = new Earlier(above);
  if (thing.kind === 'run') {
    const run = assignedCall('run', 'RunStore().get', [literal(thing.id)]);
    return assembled([RUN_STORE], [run, 'run'], earlier);
  }
  const open = earlier.variable(value => opens(value, thing.label));
  const repository = open ?? freeName(thing.label, earlier);
  const opening = open ? [] : [assignedCall(repository, 'Repository.open', [literal(thing.label)])];
  const imports = open ? [] : [REPOSITORY];
  switch (thing.kind) {
    case 'repository':
      return assembled(imports, [...opening, repository], earlier);
    case 'collection':
      return assembled(imports, [...opening, `${repository}.collection(${literal(thing.name)})`], earlier);
    case 'dataset-type': {
      if (thing.collection === null) {
        const shown = `${repository}.butler.get_dataset_type(${literal(thing.name)})`;
        return assembled(imports, [...opening, shown], earlier);
      }
      const name = literal(thing.name);
      const datasets = assignedCall('datasets', `${repository}.datasets`, [name, literal(thing.collection)]);
      return assembled(imports, [...opening, datasets, 'datasets.to_pandas()'], earlier);
    }
    case 'dataset':
      return datasetCode(thing, repository, opening, imports, earlier);
  }
}

function datasetCode(
  thing: DatasetThing,
  repository: string,
  opening: readonly string[],
  imports: readonly Import[],
  earlier: Earlier
): string {
  const variable = identifier(thing.datasetType, [repository, 'data_id', 'dataset', 'repository']);
  const get = `${repository}.butler.get`;
  if (Object.values(thing.dataId).some(value => typeof value === 'number' && !Number.isSafeInteger(value))) {
    // The browser has rounded a number of the data ID; the identifier is exact.
    const found = assignedCall('dataset', `${repository}.butler.get_dataset`, [`UUID(${literal(thing.id)})`]);
    const got = assignedCall(variable, get, ['dataset']);
    return assembled([...imports, UUID], [...opening, found, got, variable], earlier);
  }
  const got = assignedCall(variable, get, [
    literal(thing.datasetType),
    'data_id',
    `collections=${literal(thing.run)}`
  ]);
  return assembled(imports, [...opening, assignedDataId('data_id', thing.dataId), got, variable], earlier);
}

/** Whether a value is a repository that was opened by this label. */
function opens(value: string, label: string): boolean {
  const argument = /^Repository\.open\(\s*(?:target\s*=\s*)?("[^"\n]*"|'[^'\n]*')\s*[,)]/.exec(value)?.[1];
  return argument !== undefined && (argument === literal(label) || argument === `'${label}'`);
}

/** Return a variable for a repository that takes no other repository's place. */
function freeName(label: string, earlier: Earlier): string {
  return earlier.hasName('repository') ? identifier(`${label}_repository`) : 'repository';
}

function assembled(imports: readonly Import[], lines: readonly string[], earlier: Earlier): string {
  const wanted = imports.filter(([module, name]) => !earlier.hasImport(module, name));
  // Those of the standard library first.
  const sorted = wanted.map(([module, name]) => importLine(module, name)).sort();
  const standard = sorted.filter(line => line.startsWith('from uuid '));
  const ours = sorted.filter(line => !standard.includes(line));
  return [standard, ours, lines]
    .filter(block => block.length > 0)
    .map(block => block.join('\n'))
    .join('\n\n');
}
