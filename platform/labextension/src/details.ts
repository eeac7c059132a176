/** The details of what is chosen. */

import { copyIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { asApiError, isAborted, type Api } from './api.js';
import type { Actions, Choice } from './choice.js';
import { fill, h, type Child } from './dom.js';
import { problem } from './problem.js';
import * as format from './format.js';
import { runDetails } from './rundetails.js';
import type { RunsModel } from './runs.js';
import { COLLECTION_KINDS, dataIdText, identityOf, kindName, nameOf, type Thing } from './things.js';
import type { CollectionAnswer, DatasetAnswer, RepositoryAnswer } from './wire.js';

/** The pane below the tree: what the server knows of the chosen thing, and what to do with it. */
export class DetailsView extends Widget {
  constructor(options: { api: Api; choice: Choice; runs: RunsModel; actions: Actions }) {
    super({ node: h('div', { class: 'lv-details', 'aria-live': 'polite' }) });
    this._api = options.api;
    this._choice = options.choice;
    this._runs = options.runs;
    this._actions = options.actions;
    this._choice.changed.connect(() => this._show(this._choice.thing));
    this._runs.changed.connect(() => this._runsChanged());
    this._show(null);
  }

  /** Ask the server again for what is shown. */
  refresh(): void {
    this._show(this._thing);
  }

  protected override onBeforeDetach(msg: Message): void {
    this._request?.abort();
    super.onBeforeDetach(msg);
  }

  private _show(thing: Thing | null): void {
    const same = thing !== null && this._thing?.kind === thing.kind && this._key === keyOf(thing);
    this._thing = thing;
    this._key = thing ? keyOf(thing) : '';
    this._request?.abort();
    if (!thing) {
      const words = 'Choose a collection, a dataset type, a dataset or a run to see what is known of it.';
      fill(this.node, h('p', { class: 'lv-hint' }, words));
      return;
    }
    if (!same) {
      this._draw(thing, [h('p', { class: 'lv-hint' }, 'Loading ...')]);
    }
    void this._ask(thing);
  }

  private async _ask(thing: Thing): Promise<void> {
    const request = new AbortController();
    this._request = request;
    try {
      const body = await this._body(thing, request.signal);
      if (this._request === request) {
        this._draw(thing, body);
      }
    } catch (error) {
      if (this._request === request && !isAborted(error)) {
        this._draw(thing, [problem(asApiError(error), () => this.refresh())]);
      }
    }
  }

  /** Show a run's progress again whenever the list has news of it. */
  private _runsChanged(): void {
    if (this._thing?.kind !== 'run' || this._runs.error) {
      return;
    }
    const sign = JSON.stringify(this._runs.find(this._thing.id));
    if (sign !== this._runSign) {
      this._runSign = sign;
      void this._ask(this._thing);
    }
  }

  private _draw(thing: Thing, body: readonly Child[]): void {
    const head = h(
      'div',
      { class: 'lv-head' },
      h('span', { class: 'lv-kind' }, kindName(thing)),
      h('span', { class: 'lv-name' }, nameOf(thing))
    );
    const scroll = this.node.scrollTop;
    fill(this.node, head, this._buttons(thing), ...body);
    this.node.scrollTop = scroll;
  }

  private _buttons(thing: Thing): HTMLElement {
    const actions = this._actions;
    const run = thing.kind === 'run' ? this._runs.find(thing.id) : null;
    const button = (words: string, title: string, act: () => void): HTMLElement =>
      h('button', { class: 'lv-button', type: 'button', title, onclick: act }, words);
    return h(
      'div',
      { class: 'lv-buttons' },
      button('Insert code', 'Put Python for this into the notebook', () => actions.insertCode(thing)),
      button('Copy', 'Copy as Python', () => actions.copyCode(thing)),
      ...(thing.kind === 'run'
        ? [
            button('Open', 'Watch this run in a tab of its own', () => actions.openRun(thing.id)),
            run?.can_cancel && button('Cancel', 'Cancel this run', () => actions.cancelRun(thing.id)),
            run?.can_restart &&
              button('Restart', 'Do what is left of this run', () => actions.restartRun(thing.id))
          ]
        : [button('Workbench', 'Open this in the workbench', () => actions.openWorkbench(thing))])
    );
  }

  private async _body(thing: Thing, signal: AbortSignal): Promise<readonly Child[]> {
    switch (thing.kind) {
      case 'repository':
        return this._repository(await this._api.repository(thing.label, signal));
      case 'collection':
        return this._collection(await this._api.collection(thing.label, thing.name, signal));
      case 'dataset-type':
        return [
          facts([
            ['storage class', thing.storageClass],
            ['dimensions', thing.dimensions.join(', ') || 'none'],
            ['collection', thing.collection],
            ['repository', thing.label]
          ])
        ];
      case 'dataset':
        return this._dataset(await this._api.dataset(thing.label, thing.id, signal));
      case 'run':
        return runDetails(await this._api.run(thing.id, signal));
    }
  }

  private _repository(answer: RepositoryAnswer): readonly Child[] {
    return [
      facts([
        ['address', this._copyable(answer.address)],
        ['registry', answer.registry],
        ['datastores', lines(answer.datastores)],
        ['collections', format.count(answer.collections)],
        ['dataset types', format.count(answer.dataset_types)]
      ])
    ];
  }

  private _collection(answer: CollectionAnswer): readonly Child[] {
    const known = answer.dataset_types.map(type => type.count).filter(count => count !== null);
    return [
      answer.documentation ? h('p', { class: 'lv-documentation' }, answer.documentation) : null,
      facts([
        ['type', COLLECTION_KINDS[answer.kind][1]],
        ['name', this._copyable(answer.name)],
        ['searched in order', answer.children.length > 0 ? ordered(answer.children) : null],
        ['member of', answer.parents.length > 0 ? lines(answer.parents) : null],
        ['dataset types', format.count(answer.dataset_types.length)],
        ['datasets', known.length > 0 ? format.count(known.reduce((a, b) => a + b, 0)) : null]
      ])
    ];
  }

  private _dataset(answer: DatasetAnswer): readonly Child[] {
    const records = Object.entries(answer.records).filter(([, record]) => Object.keys(record).length > 0);
    return [
      facts([
        ['dataset type', `${answer.dataset_type} (${answer.storage_class})`],
        ['run', this._copyable(answer.run)],
        ['data ID', this._copyable(dataIdText(answer.data_id))],
        ['ID', this._copyable(answer.id)],
        ['stored as', lines(answer.artifacts.map(artifact => this._artifact(artifact))) ?? 'removed'],
        ['made by', answer.provenance && `${answer.provenance.run_id} (${answer.provenance.pipeline})`]
      ]),
      ...records.map(([element, record]) =>
        h(
          'details',
          { class: 'lv-record' },
          h('summary', {}, element),
          facts(Object.entries(record).map(([field, value]) => [field, shown(value)]))
        )
      )
    ];
  }

  private _artifact(artifact: DatasetAnswer['artifacts'][number]): HTMLElement {
    const size = artifact.bytes === null ? '' : ` (${format.bytes(artifact.bytes)})`;
    return h('span', {}, artifact.component && `${artifact.component}: `, this._copyable(artifact.uri), size);
  }

  /** Text with a button that copies it. */
  private _copyable(text: string): HTMLElement {
    const copy = h('button', {
      class: 'lv-copy',
      type: 'button',
      title: 'Copy',
      'aria-label': `Copy ${text}`,
      onclick: () => this._actions.copyText(text)
    });
    copyIcon.element({ container: copy });
    return h('span', { class: 'lv-copyable' }, h('code', {}, text), copy);
  }

  private readonly _api: Api;
  private readonly _choice: Choice;
  private readonly _runs: RunsModel;
  private readonly _actions: Actions;
  private _thing: Thing | null = null;
  private _key = '';
  private _runSign = '';
  private _request: AbortController | null = null;
}

function keyOf(thing: Thing): string {
  return `${thing.label} ${identityOf(thing)} ${thing.kind === 'dataset-type' ? thing.collection : ''}`;
}

/** Return names and values as a list; what has no value is left out. */
function facts(items: readonly (readonly [string, Child])[]): HTMLElement {
  const present = items.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return h(
    'dl',
    { class: 'lv-facts' },
    ...present.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])
  );
}

function lines(items: readonly Child[]): HTMLElement | null {
  return items.length === 0 ? null : h('span', {}, ...items.map(item => h('div', {}, item)));
}

function ordered(items: readonly string[]): HTMLElement {
  return h('ol', { class: 'lv-members' }, ...items.map(item => h('li', {}, item)));
}

function shown(value: unknown): string {
  return value === null || value === undefined
    ? ''
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value);
}
