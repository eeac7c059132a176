/** Reading and writing just enough Python: literals, calls, and what a notebook has imported already. */

import type { DataId, DataIdValue } from './things.js';

const LINE = 88;

const RESERVED = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for ' +
    'from global if import in is lambda nonlocal not or pass raise return try while with yield match case ' +
    'abs all any ascii bin bool bytes callable chr compile complex dict dir display exec filter float format ' +
    'hash help hex id input int iter len list map max min next object oct open ord pow print property range ' +
    'repr reversed round set slice sorted str sum super tuple type vars zip'
  ).split(' ')
);

/** Return a value as a Python literal. */
export function literal(value: DataIdValue): string {
  if (value === null) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** Return brackets with items in them, over several lines if one is too short for them. */
function bracketed(opening: string, items: readonly string[], closing: string): string {
  const line = `${opening}${items.join(', ')}${closing}`;
  if (line.length <= LINE || items.length === 0) {
    return line;
  }
  const inner = `    ${items.join(', ')}`;
  const body = inner.length <= LINE ? `${inner}\n` : items.map(item => `    ${item},\n`).join('');
  return `${opening}\n${body}${closing}`;
}

/** Return an assignment of a call, as a formatter would break its lines. */
export function assignedCall(name: string, callee: string, args: readonly string[]): string {
  return bracketed(`${name} = ${callee}(`, args, ')');
}

/** Return an assignment of a data ID. */
export function assignedDataId(name: string, dataId: DataId): string {
  const items = Object.entries(dataId).map(([key, value]) => `${literal(key)}: ${literal(value)}`);
  return bracketed(`${name} = {`, items, '}');
}

/** Return a name that may be assigned to and hides nothing. */
export function identifier(text: string, taken: readonly string[] = []): string {
  let name = text.replace(/\W+/g, '_').replace(/^_+|_+$/g, '');
  if (name === '' || /^\d/.test(name)) {
    name = `_${name}`;
  }
  return RESERVED.has(name) || taken.includes(name) ? `${name}_` : name;
}

/** Return an import statement. */
export function importLine(module: string, name: string): string {
  return `from ${module} import ${name}`;
}

/** What cells that run earlier leave behind. */
export class Earlier {
  /** @param sources Source of each code cell, in the order in which they run. */
  constructor(sources: readonly string[]) {
    for (const statement of sources.filter(isPython).flatMap(statements)) {
      this._read(statement);
    }
  }

  /** Whether a name was imported from a module. */
  hasImport(module: string, name: string): boolean {
    return this._imports.has(`${module} ${name}`);
  }

  /** Whether a name was given to something. */
  hasName(name: string): boolean {
    return this._values.has(name);
  }

  /** Return the variable that last had this value, if one still has it. */
  variable(test: (value: string) => boolean): string | null {
    const found = [...this._values].filter(([, value]) => test(value));
    return found[found.length - 1]?.[0] ?? null;
  }

  private _read(statement: string): void {
    const imported = /^from\s+([\w.]+)\s+import\s+\(?([^)]*)\)?\s*$/.exec(statement);
    if (imported) {
      for (const item of imported[2]!.split(',')) {
        this._imports.add(`${imported[1]} ${item.trim()}`);
      }
      return;
    }
    const assigned = /^([A-Za-z_]\w*)\s*(?::[^=]+)?=(?!=)\s*([^]*)$/.exec(statement);
    if (assigned) {
      // Taken out first: the order of a map is that of the last assignment.
      this._values.delete(assigned[1]!);
      this._values.set(assigned[1]!, assigned[2]!.trim());
      return;
    }
    const gone = /^(?:del\s+([A-Za-z_]\w*)|([A-Za-z_]\w*)\.close\(\))\s*$/.exec(statement);
    if (gone) {
      this._values.delete((gone[1] ?? gone[2])!);
    }
  }

  private readonly _imports = new Set<string>();
  private readonly _values = new Map<string, string>();
}

/** Whether a cell leaves its names in the notebook, as one of `%%bash` does not. */
function isPython(source: string): boolean {
  const magic = /^\s*%%(\w+)/.exec(source);
  return magic === null || magic[1] === 'time' || magic[1] === 'capture';
}

const TOKEN = /("""|''')(?:\\[^]|(?!\1)[^])*(?:\1|$)|("|')(?:\\[^]|(?!\2)[^\n\\])*\2?|#[^\n]*|\\\n|[^]/g;

/** Return the statements of a source that are not indented, without comments; docstrings are emptied. */
export function statements(source: string): string[] {
  const found: string[] = [];
  let current = '';
  let depth = 0;
  // Of the line: what follows a semicolon is indented as what precedes it.
  let indented = /^[ \t]/.test(source);
  const end = (): void => {
    if (current.trim() && !indented) {
      found.push(current.trim());
    }
    current = '';
  };
  for (const match of source.matchAll(TOKEN)) {
    const [token, triple] = match;
    if (triple) {
      current += '""';
    } else if (token.startsWith('#') || token === '\\\n') {
      current += ' ';
    } else if (depth === 0 && (token === '\n' || token === ';')) {
      end();
      if (token === '\n') {
        indented = ' \t'.includes(source.charAt(match.index + 1) || 'x');
      }
    } else {
      depth += '([{'.includes(token) ? 1 : ')]}'.includes(token) ? -1 : 0;
      depth = Math.max(depth, 0);
      current += token;
    }
  }
  end();
  return found;
}
