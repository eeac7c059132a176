/** The tree on the page: rows, keyboard, drag. */

import { addIcon, caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Actions } from './choice.js';
import { arrange, fill, h, title } from './dom.js';
import { DragSource } from './dragsource.js';
import type { Row, TreeModel, TreeNode } from './model.js';
import { identityOf, kindName } from './things.js';

const TYPING_MS = 700;

/** A view of a `TreeModel` with the roles and keys of an ARIA tree. */
export class TreeView extends Widget {
  constructor(model: TreeModel, actions: Actions) {
    super({ node: h('div', { class: 'lv-tree', role: 'tree', 'aria-label': 'Data repositories' }) });
    this._model = model;
    this._actions = actions;
    this._dragging = new DragSource(
      this.node,
      event => this._nodeOf(this._keyAt(event))?.thing ?? null,
      (thing, x, y) => actions.drag(thing, x, y)
    );
    model.changed.connect(() => this.update());
    model.selectionChanged.connect(() => this._markSelected());
  }

  /** Put the keyboard onto the chosen row. */
  focus(): void {
    const row = this._rowOf(this._model.selected?.key ?? '') ?? this.node.querySelector('.lv-row');
    (row as HTMLElement | null)?.focus();
  }

  handleEvent(event: Event): void {
    switch (event.type) {
      case 'click':
        this._click(event as MouseEvent);
        break;
      case 'dblclick':
        this._doubleClick(event as MouseEvent);
        break;
      case 'contextmenu':
        this._select(this._keyAt(event));
        break;
      case 'keydown':
        this._keydown(event as KeyboardEvent);
        break;
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    EVENTS.forEach(name => this.node.addEventListener(name, this));
    this._dragging.attach();
    this.update();
  }

  protected override onBeforeDetach(msg: Message): void {
    EVENTS.forEach(name => this.node.removeEventListener(name, this));
    this._dragging.detach();
    super.onBeforeDetach(msg);
  }

  protected override onUpdateRequest(msg: Message): void {
    super.onUpdateRequest(msg);
    const rows = this._model.rows;
    const known = this._elements;
    this._elements = new Map(rows.map(row => [row.key, drawn(row, known.get(row.key))]));
    const focused = this.node.contains(document.activeElement) ? document.activeElement : null;
    arrange(
      this.node,
      rows.map(row => this._elements.get(row.key)!.element)
    );
    this.node.setAttribute(
      'aria-busy',
      String(rows.some(row => row.kind === 'note' && row.role === 'loading'))
    );
    this._markSelected();
    if (focused && !focused.isConnected) {
      this.focus();
    }
  }

  private _markSelected(): void {
    const selected = this._model.selected?.key ?? null;
    const shown = selected !== null && this._elements.has(selected);
    let first = true;
    for (const [key, { element }] of this._elements) {
      const chosen = key === selected;
      if (element.getAttribute('role') === 'treeitem') {
        element.setAttribute('aria-selected', String(chosen));
        element.tabIndex = (shown ? chosen : first) ? 0 : -1;
        first = false;
      }
    }
  }

  private _keyAt(event: Event): string | null {
    const row = (event.target as Element).closest<HTMLElement>('.lv-row');
    return row?.dataset['key'] ?? null;
  }

  private _rowOf(key: string): HTMLElement | null {
    return this._elements.get(key)?.element ?? null;
  }

  private _nodeOf(key: string | null): TreeNode | null {
    const row = this._model.rows.find(candidate => candidate.key === key);
    return row?.kind === 'node' ? row.node : null;
  }

  private _select(key: string | null): void {
    if (this._nodeOf(key)) {
      this._model.select(key);
      this._rowOf(key!)?.focus({ preventScroll: false });
    }
  }

  private _click(event: MouseEvent): void {
    const key = this._keyAt(event);
    const target = event.target as Element;
    const node = this._nodeOf(key);
    if (!node) {
      this._act(key);
      return;
    }
    this._select(key);
    if (target.closest('.lv-insert')) {
      this._actions.insertCode(node.thing);
    } else if (target.closest('.lv-twisty')) {
      void this._model.toggle(node.key);
    }
  }

  private _doubleClick(event: MouseEvent): void {
    const node = this._nodeOf(this._keyAt(event));
    if (node && !(event.target as Element).closest('.lv-insert, .lv-twisty')) {
      this._actions.insertCode(node.thing);
    }
  }

  /** Do what a row that is no node offers. */
  private _act(key: string | null): void {
    const row = this._model.rows.find(candidate => candidate.key === key);
    if (row?.kind === 'note' && (row.role === 'more' || row.role === 'failed')) {
      void this._model.more(row.parent?.key ?? null);
    }
  }

  private _keydown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const rows = this._model.rows;
    const here = rows.findIndex(row => row.key === this._keyAt(event));
    const row = rows[here];
    if (!row) {
      return;
    }
    const handled = row.kind === 'node' ? this._nodeKey(event, row.node) : this._noteKey(event, row.key);
    if (handled || this._move(event, rows, here)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  private _noteKey(event: KeyboardEvent, key: string): boolean {
    if (event.key !== 'Enter' && event.key !== ' ') {
      return false;
    }
    this._act(key);
    return true;
  }

  /** Keys that act on the row itself. */
  private _nodeKey(event: KeyboardEvent, node: TreeNode): boolean {
    switch (event.key) {
      case 'Enter':
        this._actions.insertCode(node.thing);
        return true;
      case ' ':
        void this._model.toggle(node.key);
        return true;
      case 'ArrowRight':
        if (node.expandable && !node.expanded) {
          void this._model.expand(node.key);
          return true;
        }
        return false;
      case 'ArrowLeft':
        if (node.expanded) {
          this._model.collapse(node.key);
        } else if (node.parent && node.parent.level > 0) {
          this._select(node.parent.key);
        }
        return true;
      default:
        return false;
    }
  }

  /** Keys that lead to another row. */
  private _move(event: KeyboardEvent, rows: readonly Row[], here: number): boolean {
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: Math.min(here + 1, rows.length - 1),
      ArrowUp: Math.max(here - 1, 0),
      ArrowRight: Math.min(here + 1, rows.length - 1),
      Home: 0,
      End: rows.length - 1
    };
    let target = targets[event.key];
    if (target === undefined && event.key.length === 1) {
      target = this._typed(event.key, rows, here);
    }
    const row = target === undefined ? undefined : rows[target];
    if (!row) {
      return false;
    }
    this._select(row.key);
    this._rowOf(row.key)?.focus();
    return true;
  }

  /** Find the row whose title begins with what is being typed. */
  private _typed(letter: string, rows: readonly Row[], here: number): number | undefined {
    clearTimeout(this._typing);
    this._typing = window.setTimeout(() => (this._word = ''), TYPING_MS);
    this._word += letter.toLowerCase();
    const from = this._word.length === 1 ? here + 1 : here;
    for (let step = 0; step < rows.length; step++) {
      const index = (from + step) % rows.length;
      const row = rows[index]!;
      if (row.kind === 'node' && row.node.title.toLowerCase().startsWith(this._word)) {
        return index;
      }
    }
    return undefined;
  }

  private readonly _model: TreeModel;
  private readonly _actions: Actions;
  private _elements = new Map<string, Drawn>();
  private _dragging: DragSource;
  private _word = '';
  private _typing = 0;
}

const EVENTS = ['click', 'dblclick', 'contextmenu', 'keydown'] as const;

interface Drawn {
  readonly element: HTMLElement;
  /** What the element shows; it is drawn anew when this changes. */
  readonly sign: string;
}

/** Return the element of a row; the one it had, if there is one, so that focus and hovering are kept. */
function drawn(row: Row, before: Drawn | undefined): Drawn {
  const sign = signOf(row);
  if (before?.sign === sign) {
    return before;
  }
  const element = before?.element ?? h('div');
  if (row.kind === 'node') {
    drawNode(element, row.node, row.position);
  } else {
    drawNote(element, row);
  }
  element.dataset['key'] = row.key;
  return { element, sign };
}

function signOf(row: Row): string {
  if (row.kind === 'note') {
    return `${row.role} ${row.text}`;
  }
  const { title, note, badge, expanded, expandable, status } = row.node;
  return JSON.stringify([title, note, badge, expanded, expandable, status === 'loading', row.position]);
}

function drawNode(element: HTMLElement, node: TreeNode, position: readonly [number, number]): void {
  const [letter, words] = node.badge;
  const kind = kindName(node.thing);
  element.className = `lv-row lv-mod-${node.thing.kind}`;
  element.title = [node.title, words, node.noteWords].filter(Boolean).join('\n');
  element.dataset['lv'] = node.thing.kind;
  element.dataset['name'] = identityOf(node.thing);
  element.style.setProperty('--lv-level', String(node.level));
  const state: Record<string, string> = {
    role: 'treeitem',
    'aria-level': String(node.level),
    'aria-posinset': String(position[0]),
    'aria-setsize': String(position[1]),
    'aria-label': [node.title, words, node.noteWords].filter(Boolean).join(', ')
  };
  Object.entries(state).forEach(([name, value]) => element.setAttribute(name, value));
  if (node.expandable) {
    element.setAttribute('aria-expanded', String(node.expanded));
  }
  const twisty = h('span', { class: 'lv-twisty', 'aria-hidden': 'true' });
  if (node.expandable) {
    (node.expanded ? caretDownIcon : caretRightIcon).element({ container: twisty });
  }
  const insert = h('button', {
    class: 'lv-insert',
    type: 'button',
    tabindex: -1,
    title: `Insert code for this ${kind}`,
    'aria-label': `Insert code for this ${kind}`
  });
  addIcon.element({ container: insert });
  fill(
    element,
    twisty,
    letter && h('span', { class: `lv-badge lv-mod-${letter}`, title: words, 'aria-hidden': 'true' }, letter),
    title(node.title),
    node.status === 'loading' && h('span', { class: 'lv-spin', 'aria-hidden': 'true' }),
    node.note && h('span', { class: 'lv-note', title: node.noteWords }, node.note),
    insert
  );
}

function drawNote(element: HTMLElement, row: Row & { kind: 'note' }): void {
  const acts = row.role === 'more' || row.role === 'failed';
  element.className = `lv-row lv-remark lv-mod-${row.role}`;
  element.title = row.text;
  element.style.setProperty('--lv-level', String(row.level));
  element.setAttribute('role', 'treeitem');
  element.setAttribute('aria-level', String(row.level));
  fill(
    element,
    h('span', { class: 'lv-twisty', 'aria-hidden': 'true' }),
    h('span', { class: 'lv-words' }, row.text),
    acts && h('span', { class: 'lv-do' }, row.role === 'more' ? 'Show' : 'Try again')
  );
}
