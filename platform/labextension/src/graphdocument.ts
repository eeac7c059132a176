/** The document of a QuantumGraph: its tasks and dataset types drawn, and the quanta of each task. */

import type { DocumentRegistry } from '@jupyterlab/docregistry';

import type { Api } from './api.js';
import { fill, h, s } from './dom.js';
import * as format from './format.js';
import { layout, pathOf, taskId, type Drawing, type PlacedNode } from './graphlayout.js';
import { ServerDocument } from './serverdocument.js';
import type { GraphAnswer, QuantaAnswer } from './wire.js';

const ZOOM = 1.25;
const SMALLEST = 0.3;
const LARGEST = 3;

/** A task graph with counts, and a table of quanta. */
export class GraphDocument extends ServerDocument {
  constructor(context: DocumentRegistry.Context, api: Api, rowsPerPage: () => number) {
    super(context, 'lv-graph');
    this._api = api;
    this._rowsPerPage = rowsPerPage;
  }

  protected override async load(signal: AbortSignal): Promise<void> {
    this._graph = await this._api.graph(this.path, signal);
    const first = this._graph.tasks.find(task => task.label === this._task) ?? this._graph.tasks[0];
    this._draw(this._graph);
    if (first) {
      this._choose(first.label);
    }
  }

  private _draw(graph: GraphAnswer): void {
    const quanta = graph.tasks.reduce((sum, task) => sum + task.quanta, 0);
    const drawing = layout(graph);
    this._svg = drawn(drawing, label => this._choose(label));
    this._canvas = h(
      'div',
      { class: 'lv-canvas', tabindex: 0, role: 'group', 'aria-label': 'Task graph' },
      this._svg
    );
    const zoom = (words: string, title: string, act: () => void): HTMLElement =>
      h('button', { class: 'lv-button', type: 'button', title, 'aria-label': title, onclick: act }, words);
    fill(
      this.node,
      h(
        'div',
        { class: 'lv-bar-line' },
        h('strong', {}, format.counted(quanta, 'quantum', 'quanta')),
        h('span', {}, `of ${format.counted(graph.tasks.length, 'task')},`),
        h('span', {}, format.counted(graph.dataset_types.length, 'dataset type')),
        h('span', { class: 'lv-space' }),
        zoom('−', 'Smaller', () => this._zoomTo(this._zoom / ZOOM)),
        zoom('+', 'Larger', () => this._zoomTo(this._zoom * ZOOM)),
        zoom('Fit', 'Fit into the width', () => this._fit(drawing))
      ),
      this._canvas,
      this._headerOf(graph),
      this._quanta
    );
    this._size = drawing;
    this._fit(drawing);
  }

  private _headerOf(graph: GraphAnswer): HTMLElement | null {
    const items = Object.entries(graph.header).filter(([, value]) => value !== null && value !== '');
    const text = (value: unknown): string =>
      typeof value === 'object' ? JSON.stringify(value) : String(value);
    return items.length === 0
      ? null
      : h(
          'details',
          { class: 'lv-record lv-graph-header' },
          h('summary', {}, 'About this graph'),
          h(
            'dl',
            { class: 'lv-facts' },
            ...items.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, text(value))])
          )
        );
  }

  private _fit(drawing: Drawing): void {
    const room = this._canvas.clientWidth - 8;
    this._zoomTo(room > 0 ? Math.min(1, room / drawing.width) : 1);
    this._fitted = true;
  }

  private _zoomTo(zoom: number): void {
    this._fitted = false;
    this._zoom = Math.min(Math.max(zoom, SMALLEST), LARGEST);
    if (this._size) {
      this._svg.setAttribute('width', String(this._size.width * this._zoom));
      this._svg.setAttribute('height', String(this._size.height * this._zoom));
    }
  }

  protected override onResize(): void {
    if (this._fitted && this._size) {
      this._fit(this._size);
    }
  }

  private _choose(task: string): void {
    this._task = task;
    this._svg.querySelectorAll('.lv-node').forEach(node => {
      const chosen = node.getAttribute('data-id') === taskId(task);
      node.classList.toggle('lv-mod-chosen', chosen);
      if (node.getAttribute('role') === 'button') {
        node.setAttribute('aria-pressed', String(chosen));
      }
    });
    this._page(task, 0);
  }

  private _page(task: string, offset: number): void {
    const limit = this._rowsPerPage();
    void this.guarded(this._quanta, async signal => {
      const answer = await this._api.quanta({ path: this.path, task, limit, offset }, signal);
      this._table(task, answer, offset, limit);
    });
  }

  private _table(task: string, answer: QuantaAnswer, offset: number, limit: number): void {
    const last = offset + answer.quanta.length;
    const to = (words: string, next: number, possible: boolean): HTMLElement =>
      h(
        'button',
        { class: 'lv-button', type: 'button', disabled: !possible, onclick: () => this._page(task, next) },
        words
      );
    const range =
      answer.quanta.length === 0
        ? 'none'
        : `${format.count(offset + 1)} to ${format.count(last)} of ${format.count(answer.total)}`;
    fill(
      this._quanta,
      h(
        'div',
        { class: 'lv-bar-line' },
        h('strong', {}, `Quanta of ${task}`),
        h('span', { class: 'lv-space' }),
        h('span', { class: 'lv-note', 'aria-live': 'polite' }, range),
        to('Previous', Math.max(0, offset - limit), offset > 0),
        to('Next', last, last < answer.total)
      ),
      h(
        'div',
        { class: 'lv-table-room', tabindex: 0, role: 'group', 'aria-label': `Quanta of ${task}` },
        h(
          'table',
          { class: 'lv-table' },
          h(
            'thead',
            {},
            h('tr', {}, ...[...answer.columns, 'ID'].map(name => h('th', { scope: 'col' }, name)))
          ),
          h(
            'tbody',
            {},
            ...answer.quanta.map(quantum =>
              h(
                'tr',
                {},
                ...answer.columns.map(name => h('td', {}, String(quantum.data_id[name] ?? ''))),
                h('td', {}, h('code', {}, quantum.id))
              )
            )
          )
        )
      )
    );
  }

  private readonly _api: Api;
  private readonly _rowsPerPage: () => number;
  private readonly _quanta = h('section', { class: 'lv-quanta' });
  private _canvas: HTMLElement = h('div');
  private _svg: SVGSVGElement = s('svg');
  private _graph: GraphAnswer | null = null;
  private _size: Drawing | null = null;
  private _task = '';
  private _zoom = 1;
  private _fitted = true;
}

/** Draw a graph; a task that is clicked at is given to `choose` by its label. */
function drawn(drawing: Drawing, choose: (label: string) => void): SVGSVGElement {
  return s(
    'svg',
    {
      class: 'lv-drawing',
      viewBox: `0 0 ${drawing.width} ${drawing.height}`,
      role: 'group',
      'aria-label': 'Tasks and the dataset types between them'
    },
    ...drawing.edges.map(edge =>
      s(
        'path',
        { class: 'lv-edge', d: pathOf(edge.points), 'data-from': edge.from, 'data-to': edge.to },
        edge.count !== null && s('title', {}, format.counted(edge.count, 'dataset'))
      )
    ),
    ...drawing.nodes.map(node => drawnNode(node, choose))
  );
}

function drawnNode(node: PlacedNode, choose: (label: string) => void): SVGGElement {
  const isTask = node.kind === 'task';
  const words =
    node.count === null
      ? 'input'
      : isTask
        ? format.counted(node.count, 'quantum', 'quanta')
        : format.counted(node.count, 'dataset');
  const press = isTask ? (): void => choose(node.name) : null;
  const key = (event: KeyboardEvent): void => {
    if (press && (event.key === 'Enter' || event.key === ' ')) {
      event.preventDefault();
      press();
    }
  };
  return s(
    'g',
    {
      class: `lv-node lv-mod-${node.kind}`,
      transform: `translate(${node.x} ${node.y})`,
      'data-id': node.id,
      'data-name': node.name,
      ...(press ? { role: 'button', tabindex: 0, onclick: press, onkeydown: key } : { role: 'img' }),
      'aria-label': `${isTask ? 'task' : 'dataset type'} ${node.name}, ${words}`
    },
    s('rect', { width: node.width, height: node.height, rx: isTask ? 4 : node.height / 2 }),
    s('text', { x: node.width / 2, y: 17, class: 'lv-node-name' }, node.name),
    s('text', { x: node.width / 2, y: 31, class: 'lv-node-count' }, words)
  );
}
