/** Putting code where the user works: into a notebook, into a text editor, or into a new notebook. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IEditorTracker } from '@jupyterlab/fileeditor';
import {
  NotebookActions,
  type INotebookTracker,
  type Notebook,
  type NotebookPanel
} from '@jupyterlab/notebook';
import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';

import { codeFor } from './code.js';
import { h } from './dom.js';
import { kindName, nameOf, type Thing } from './things.js';

const CELLS = 'application/vnd.jupyter.cells';

/** Where code can go. */
export interface Places {
  readonly app: JupyterFrontEnd;
  readonly notebooks: INotebookTracker;
  readonly editors: IEditorTracker | null;
}

/** Put the code of a thing where the user worked last. */
export async function insertCode(thing: Thing, places: Places): Promise<void> {
  const { app, notebooks, editors } = places;
  const main = app.shell.currentWidget;
  const editor = editors?.currentWidget;
  if (editor && editor === main) {
    insertText(editor.content.editor, thing);
    app.shell.activateById(editor.id);
    return;
  }
  const panel = notebooks.currentWidget ?? (await newNotebook(places));
  await Promise.all([panel.context.ready, panel.revealed]);
  const index = putCode(panel.content, thing, panel.content.activeCellIndex);
  app.shell.activateById(panel.id);
  show(panel.content, index);
}

async function newNotebook({ app }: Places): Promise<NotebookPanel> {
  const kernelName = app.serviceManager.kernelspecs.specs?.default;
  return (await app.commands.execute('notebook:create-new', { kernelName, activate: true })) as NotebookPanel;
}

/**
 * Put the code of a thing into a notebook: into the cell if it is an empty one, else below it.
 *
 * @returns Index of the cell that has the code.
 */
function putCode(notebook: Notebook, thing: Thing, at: number): number {
  const model = notebook.model;
  if (!model || model.readOnly) {
    throw new Error('This notebook cannot be changed: it is read-only.');
  }
  const cells = model.sharedModel;
  const target = at >= 0 && at < cells.cells.length ? cells.getCell(at) : undefined;
  if (target?.cell_type === 'code' && target.source.trim() === '') {
    target.setSource(codeFor(thing, sourcesAbove(notebook, at)));
    return at;
  }
  const index = at + 1;
  cells.insertCell(index, newCell(codeFor(thing, sourcesAbove(notebook, index))));
  return index;
}

function newCell(source: string): { cell_type: 'code'; source: string; metadata: { trusted: boolean } } {
  return { cell_type: 'code', source, metadata: { trusted: true } };
}

/** Return the sources of the code cells above an index. */
function sourcesAbove(notebook: Notebook, index: number): string[] {
  const cells = notebook.model?.sharedModel.cells ?? [];
  return cells
    .slice(0, index)
    .filter(cell => cell.cell_type === 'code')
    .map(cell => cell.source);
}

/** Make a cell the active one, ready to be run. */
function show(notebook: Notebook, index: number): void {
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  notebook.mode = 'command';
  void NotebookActions.focusActiveCell(notebook);
}

type Editor = NonNullable<IEditorTracker['currentWidget']>['content']['editor'];

/** Put the code of a thing into a text, on lines of its own at the cursor. */
function insertText(editor: Editor, thing: Thing): void {
  const { line } = editor.getCursorPosition();
  const text = editor.model.sharedModel.getSource();
  const lines = text.split('\n');
  const here = (lines[line] ?? '').trim() !== '';
  const above = lines.slice(0, here ? line + 1 : line).join('\n');
  const code = codeFor(thing, [above]);
  const end = lines.slice(0, line + 1).join('\n').length;
  const offset = here ? end : end - (lines[line] ?? '').length;
  const inserted = here ? `\n${code}\n` : `${code}\n`;
  editor.model.sharedModel.updateSource(offset, offset, inserted);
  const last = line + inserted.split('\n').length - 1;
  editor.setCursorPosition({ line: last, column: 0 });
  editor.focus();
}

/**
 * Begin to drag a thing.
 *
 * A notebook takes a cell, a text editor text. Where it is dropped is only
 * known at the end: the code is made then, so that it repeats no import of
 * the notebook, and an empty cell under the pointer gives way to it.
 */
export async function dragThing(thing: Thing, x: number, y: number, places: Places): Promise<void> {
  const mimeData = new MimeData();
  const code = codeFor(thing);
  mimeData.setData(CELLS, [newCell(code)]);
  mimeData.setData('text/plain', code);
  const drag = new Drag({
    mimeData,
    dragImage: dragImage(thing),
    supportedActions: 'copy',
    proposedAction: 'copy'
  });
  let landing: { notebook: Notebook; index: number } | null = null;
  const dropping = (event: Event): void => {
    const target = event.target as Node;
    const notebook = places.notebooks.find(panel => panel.content.node.contains(target))?.content;
    if (!notebook) {
      return;
    }
    const found = notebook.widgets.findIndex(cell => cell.node.contains(target));
    const index = found < 0 ? notebook.widgets.length : found;
    mimeData.setData(CELLS, [newCell(codeFor(thing, sourcesAbove(notebook, index)))]);
    landing = { notebook, index };
  };
  document.addEventListener('lm-drop', dropping, true);
  try {
    const action = await drag.start(x, y);
    if (action !== 'none' && landing) {
      settle(landing);
    }
  } finally {
    document.removeEventListener('lm-drop', dropping, true);
    drag.dispose();
  }
}

/** Make a dropped cell the active one, and take away the empty cell that it has displaced. */
function settle({ notebook, index }: { notebook: Notebook; index: number }): void {
  const cells = notebook.model?.sharedModel;
  if (!cells) {
    return;
  }
  // Dropped onto a cell, the new one is above it; dropped below all, it is the last.
  const displaced = index === cells.cells.length - 1 ? index - 1 : index + 1;
  const cell = displaced >= 0 && displaced < cells.cells.length ? cells.getCell(displaced) : undefined;
  const isEmpty = cell?.cell_type === 'code' && cell.source.trim() === '';
  if (isEmpty) {
    cells.deleteCell(displaced);
  }
  show(notebook, isEmpty && displaced < index ? index - 1 : index);
}

function dragImage(thing: Thing): HTMLElement {
  return h(
    'div',
    { class: 'lv-drag-image' },
    h('span', { class: 'lv-kind' }, kindName(thing)),
    h('span', { class: 'lv-name' }, nameOf(thing))
  );
}
