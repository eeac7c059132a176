/** The tree of repositories, collections, dataset types and datasets: what is loaded, open and chosen. */

import { Signal, type ISignal } from '@lumino/signaling';

import { asApiError, isAborted, type ApiError } from './api.js';
import { identityOf, type Thing } from './things.js';

/** What is told of a child before it is a node. */
export interface Seed {
  readonly thing: Thing;
  readonly title: string;
  /** Letter and words that tell its type. */
  readonly badge: readonly [string, string];
  /** What follows the title, such as a number of datasets. */
  readonly note: string;
  /** The same in words. */
  readonly noteWords: string;
  readonly expandable: boolean;
}

/** Some children of a node, and where to go on. */
export interface Page {
  readonly seeds: readonly Seed[];
  /** What to ask for next; `null` at the end. */
  readonly next: string | null;
  /** Whether the next page has these children too. */
  readonly replaces?: boolean;
  /** Words for the row that leads to the next page. */
  readonly more?: string;
  /** Words on children that cannot be listed. */
  readonly rest?: string;
  /** Words if there are no children. */
  readonly empty?: string;
}

/** Where children come from: of a thing, or the roots. */
export type Source = (
  thing: Thing | null,
  filter: string,
  after: string | null,
  signal: AbortSignal
) => Promise<Page>;

export type NodeStatus = 'unknown' | 'loading' | 'ready' | 'failed';

/** One thing in the tree. */
export interface TreeNode extends Seed {
  /** Path from the root; the same after a reload. */
  readonly key: string;
  /** 1 for a repository. */
  readonly level: number;
  readonly parent: TreeNode | null;
  readonly expanded: boolean;
  readonly status: NodeStatus;
  readonly children: readonly TreeNode[];
}

/** A line of the tree: a node, or words in the place of nodes. */
export type Row =
  | {
      readonly kind: 'node';
      readonly key: string;
      readonly node: TreeNode;
      readonly position: readonly [number, number];
    }
  | {
      readonly kind: 'note';
      readonly key: string;
      readonly parent: TreeNode | null;
      readonly level: number;
      readonly text: string;
      readonly role: 'loading' | 'empty' | 'more' | 'failed';
    };

class Branch implements TreeNode {
  constructor(
    readonly parent: Branch | null,
    readonly key: string,
    seed: Seed | null
  ) {
    this.level = parent ? parent.level + 1 : 0;
    this.seed = seed;
  }

  get thing(): Thing {
    return this.seed!.thing;
  }
  get title(): string {
    return this.seed?.title ?? '';
  }
  get badge(): readonly [string, string] {
    return this.seed?.badge ?? ['', ''];
  }
  get note(): string {
    return this.seed?.note ?? '';
  }
  get noteWords(): string {
    return this.seed?.noteWords ?? '';
  }
  get expandable(): boolean {
    return this.seed?.expandable ?? true;
  }

  readonly level: number;
  seed: Seed | null;
  expanded = false;
  status: NodeStatus = 'unknown';
  children: Branch[] = [];
  page: Page | null = null;
  error: ApiError | null = null;
  request: AbortController | null = null;
}

const SEPARATOR = '\u001f';

/** What of the tree is kept over a reload of the page. */
export interface TreeState {
  readonly expanded: readonly string[];
  readonly selected: string | null;
}

/** The tree. Children are fetched when a node is first expanded. */
export class TreeModel {
  constructor(source: Source) {
    this._source = source;
  }

  /** Emitted when rows have changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when another row was chosen, or the chosen one is told otherwise than before. */
  get selectionChanged(): ISignal<this, void> {
    return this._selectionChanged;
  }

  /** The glob by which collections and dataset types are chosen; empty for the whole tree. */
  get filter(): string {
    return this._filter;
  }

  get selected(): TreeNode | null {
    return this._selectedKey === null ? null : this._find(this._selectedKey);
  }

  /** Why the repositories themselves could not be listed. */
  get error(): ApiError | null {
    return this._root.error;
  }

  /** Whether anything in the tree could not be fetched. */
  get hasFailed(): boolean {
    const failed = (node: Branch): boolean => node.error !== null || node.children.some(failed);
    return failed(this._root);
  }

  get state(): TreeState {
    return { expanded: [...this._wanted], selected: this._selectedKey };
  }

  /** Take over what was kept; nodes expand as they arrive. */
  restore(state: TreeState): void {
    this._wanted = new Set(state.expanded);
    this._selectedKey = state.selected;
  }

  /** The lines of the tree from top to bottom. */
  get rows(): readonly Row[] {
    const rows: Row[] = [];
    this._collect(this._root, rows);
    return rows;
  }

  /** Fetch everything that is visible again; what is gone vanishes, the rest stays where it is. */
  async refresh(): Promise<void> {
    await this._load(this._root, null, true);
  }

  /** Set the filter: a glob, or a word that is looked for anywhere. */
  async setFilter(text: string): Promise<void> {
    const filter = globOf(text);
    if (filter === this._filter) {
      return;
    }
    this._filter = filter;
    await Promise.all(
      this._root.children.map(repository => {
        const found = filter !== '';
        if (found) {
          repository.expanded = true;
        } else {
          repository.expanded = this._wanted.has(repository.key);
        }
        repository.children = [];
        repository.page = null;
        repository.status = 'unknown';
        return repository.expanded ? this._load(repository, null, true) : undefined;
      })
    );
    this._changed.emit();
  }

  async expand(key: string): Promise<void> {
    const node = this._find(key);
    if (!node || !node.expandable || node.expanded) {
      return;
    }
    node.expanded = true;
    this._wanted.add(key);
    if (node.status === 'ready') {
      this._changed.emit();
    } else {
      await this._load(node, null, true);
    }
  }

  collapse(key: string): void {
    const node = this._find(key);
    if (node?.expanded) {
      node.expanded = false;
      this._wanted.delete(key);
      this._changed.emit();
    }
  }

  async toggle(key: string): Promise<void> {
    if (this._find(key)?.expanded) {
      this.collapse(key);
    } else {
      await this.expand(key);
    }
  }

  /** Fetch what follows the children that are there; the rows of repositories if `key` is `null`. */
  async more(key: string | null): Promise<void> {
    const node = key === null ? this._root : this._find(key);
    if (!node || node.status === 'loading') {
      return;
    }
    const again = node.error !== null && node.page === null;
    await this._load(node, again ? null : (node.page?.next ?? null), again);
  }

  /** Try again what could not be fetched. */
  async retry(): Promise<void> {
    const failed = (node: Branch): Branch[] =>
      node.error ? [node] : node.children.flatMap(child => failed(child));
    await Promise.all(failed(this._root).map(node => this._load(node, null, true)));
  }

  select(key: string | null): void {
    if (key !== this._selectedKey) {
      this._selectedKey = key;
      this._selectionChanged.emit();
    }
  }

  private _find(key: string): Branch | null {
    let node = this._root;
    let path = '';
    for (const part of key.split(SEPARATOR)) {
      path = path ? `${path}${SEPARATOR}${part}` : part;
      const next = node.children.find(child => child.key === path);
      if (!next) {
        return null;
      }
      node = next;
    }
    return node;
  }

  private async _load(node: Branch, after: string | null, afresh: boolean): Promise<void> {
    node.request?.abort();
    const request = new AbortController();
    node.request = request;
    node.status = 'loading';
    node.error = null;
    this._changed.emit();
    try {
      const thing = node === this._root ? null : node.thing;
      const page = await this._source(thing, this._filter, after, request.signal);
      if (node.request !== request) {
        return;
      }
      this._take(node, page, afresh || node.page?.replaces === true);
      node.status = 'ready';
    } catch (error) {
      if (node.request !== request || isAborted(error)) {
        return;
      }
      node.status = 'failed';
      node.error = asApiError(error);
    }
    this._changed.emit();
    await this._loadOpen(node, afresh);
  }

  /** Fetch the children of those children that are open. */
  private async _loadOpen(node: Branch, afresh: boolean): Promise<void> {
    const open = node.children.filter(child => child.expanded && (afresh || child.status === 'unknown'));
    await Promise.all(open.map(child => this._load(child, null, true)));
  }

  private _take(node: Branch, page: Page, replace: boolean): void {
    const known = new Map(node.children.map(child => [child.key, child]));
    const children = page.seeds.map(seed => {
      const part = `${seed.thing.kind}:${identityOf(seed.thing)}`;
      const key = node.key ? `${node.key}${SEPARATOR}${part}` : part;
      const child = known.get(key) ?? new Branch(node, key, seed);
      child.seed = seed;
      const searched = this._filter !== '' && child.level === 1;
      child.expanded = seed.expandable && (searched || this._wanted.has(key));
      return child;
    });
    const kept = replace ? [] : node.children.filter(child => !children.includes(child));
    node.children = [...kept, ...children];
    node.page = page;
    if (children.some(child => child.key === this._selectedKey)) {
      this._selectionChanged.emit();
    }
  }

  private _collect(node: Branch, rows: Row[]): void {
    node.children.forEach((child, index) => {
      rows.push({
        kind: 'node',
        key: child.key,
        node: child,
        position: [index + 1, node.page?.next ? -1 : node.children.length]
      });
      if (child.expanded) {
        this._collect(child, rows);
      }
    });
    const note = this._note(node);
    if (note) {
      const parent = node === this._root ? null : node;
      rows.push({ kind: 'note', key: `${node.key}${SEPARATOR}note`, parent, level: node.level + 1, ...note });
    }
  }

  private _note(node: Branch): Pick<Row & { kind: 'note' }, 'text' | 'role'> | null {
    if (node.error) {
      const { message, hint, isUnreachable } = node.error;
      // The runs below tell at length that the server is away.
      return { role: 'failed', text: isUnreachable || !hint ? message : `${message}. ${hint}` };
    }
    if (node.status === 'loading' && (node.children.length === 0 || node.page?.next)) {
      return { role: 'loading', text: 'Loading ...' };
    }
    if (node.status === 'ready' && node.page?.next) {
      return { role: 'more', text: node.page.more ?? 'more' };
    }
    if (node.status === 'ready' && node.page?.rest) {
      return { role: 'empty', text: node.page.rest };
    }
    if (node.status === 'ready' && node.children.length === 0) {
      return { role: 'empty', text: node.page?.empty ?? 'nothing' };
    }
    return null;
  }

  private readonly _source: Source;
  private readonly _root = new Branch(null, '', null);
  private _wanted = new Set<string>();
  private _selectedKey: string | null = null;
  private _filter = '';
  private readonly _changed = new Signal<this, void>(this);
  private readonly _selectionChanged = new Signal<this, void>(this);
}

/** Return the glob of what was typed: a plain word is looked for anywhere, as people expect of a search box. */
export function globOf(text: string): string {
  const word = text.trim();
  return word === '' || /[*?[\]]/.test(word) ? word : `*${word}*`;
}
