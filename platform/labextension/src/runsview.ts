/** The runs in the side bar. */

import { stopIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Actions, Choice } from './choice.js';
import { arrange, fill, h, title } from './dom.js';
import { DragSource } from './dragsource.js';
import * as format from './format.js';
import { problem } from './problem.js';
import { bar, progressWords } from './rundetails.js';
import { STATE_WORDS, isActive, quanta, type RunsModel } from './runs.js';
import type { RunThing } from './things.js';
import type { RunRow } from './wire.js';

/** Return a run as a thing that can be chosen. */
export function thingOf(run: RunRow): RunThing {
  return { kind: 'run', id: run.id, label: run.label, outputRun: run.output_run };
}

/** A list of runs that shows their progress live. */
export class RunsView extends Widget {
  constructor(options: { runs: RunsModel; choice: Choice; actions: Actions }) {
    super({ node: h('div', { class: 'lv-runs' }) });
    this._runs = options.runs;
    this._choice = options.choice;
    this._actions = options.actions;
    this._dragging = new DragSource(
      this._list,
      event => {
        const run = this._runAt(event);
        return run && thingOf(run);
      },
      (thing, x, y) => options.actions.drag(thing, x, y)
    );
    this._runs.changed.connect(() => this.update());
    this._choice.changed.connect(() => this._markSelected());
    this.node.append(this._trouble, this._list, this._more);
  }

  handleEvent(event: Event): void {
    const run = this._runAt(event);
    switch (event.type) {
      case 'click':
        this._click(event, run);
        break;
      case 'dblclick':
        if (run && !(event.target as Element).closest('button')) {
          this._actions.insertCode(thingOf(run));
        }
        break;
      case 'contextmenu':
        this._select(run);
        break;
      case 'keydown':
        this._keydown(event as KeyboardEvent, run);
        break;
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    EVENTS.forEach(name => this._list.addEventListener(name, this));
    this._dragging.attach();
    this.update();
  }

  protected override onBeforeDetach(msg: Message): void {
    EVENTS.forEach(name => this._list.removeEventListener(name, this));
    this._dragging.detach();
    super.onBeforeDetach(msg);
  }

  protected override onUpdateRequest(msg: Message): void {
    super.onUpdateRequest(msg);
    const { runs, error, isKnown } = this._runs;
    const trouble = error
      ? `${error.kind} ${error.message} ${error.where}`
      : isKnown || runs.length > 0
        ? ''
        : 'wait';
    if (trouble !== this._troubleShown) {
      // Only when it changes: a screen reader would say it at each attempt.
      this._troubleShown = trouble;
      fill(
        this._trouble,
        error
          ? problem(error, () => void this._runs.refresh())
          : trouble && h('p', { class: 'lv-hint' }, 'Loading ...')
      );
    }
    this._list.classList.toggle('lv-mod-stale', error !== null);
    const now = Date.now();
    this._cards = new Map(
      runs.map(run => {
        const card = this._cards.get(run.id) ?? new Card();
        card.draw(run, now);
        return [run.id, card];
      })
    );
    arrange(
      this._list,
      [...this._cards.values()].map(card => card.node)
    );
    this._drawFoot();
    this._markSelected();
  }

  private _drawFoot(): void {
    const { runs, error, isKnown, hasMore } = this._runs;
    fill(
      this._more,
      isKnown && !error && runs.length === 0
        ? h(
            'p',
            { class: 'lv-hint' },
            'No runs yet. The workbench launches them, and so does: lenticular run'
          )
        : hasMore &&
            h(
              'button',
              { class: 'lv-button', type: 'button', onclick: () => void this._runs.more() },
              'Older runs'
            )
    );
  }

  private _markSelected(): void {
    const thing = this._choice.thing;
    for (const [id, card] of this._cards) {
      card.node.setAttribute('aria-current', String(thing?.kind === 'run' && thing.id === id));
    }
  }

  private _runAt(event: Event): RunRow | null {
    const card = (event.target as Element).closest<HTMLElement>('.lv-run');
    return card ? this._runs.find(card.dataset['name']!) : null;
  }

  private _select(run: RunRow | null): void {
    if (run) {
      this._choice.thing = thingOf(run);
    }
  }

  private _click(event: Event, run: RunRow | null): void {
    if (!run) {
      return;
    }
    this._select(run);
    const command = (event.target as Element).closest<HTMLElement>('button')?.dataset['do'];
    if (command === 'cancel') {
      this._actions.cancelRun(run.id);
    } else if (command === 'restart') {
      this._actions.restartRun(run.id);
    }
  }

  private _keydown(event: KeyboardEvent, run: RunRow | null): void {
    const card = event.target as HTMLElement;
    if (!run || !card.classList.contains('lv-run')) {
      return;
    }
    const step = event.key === 'ArrowDown' ? 'nextElementSibling' : 'previousElementSibling';
    if (event.key === 'Enter') {
      this._actions.insertCode(thingOf(run));
    } else if (event.key === ' ') {
      this._select(run);
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      (card[step] as HTMLElement | null)?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private readonly _runs: RunsModel;
  private readonly _choice: Choice;
  private readonly _actions: Actions;
  private readonly _trouble = h('div');
  private readonly _list = h('div', { role: 'list', class: 'lv-run-list', 'aria-label': 'Runs' });
  private readonly _more = h('div', { class: 'lv-foot' });
  private _cards = new Map<string, Card>();
  private _troubleShown = '';
  private _dragging: DragSource;
}

const EVENTS = ['click', 'dblclick', 'contextmenu', 'keydown'] as const;

/** One run; drawn anew only if it has changed, so that its buttons can be clicked at. */
class Card {
  readonly node = h('div', { class: 'lv-run', role: 'listitem', tabindex: 0, 'data-lv': 'run' });

  draw(run: RunRow, now: number): void {
    const age = isActive(run) ? format.ago(run.started, now) : format.ago(run.ended ?? run.started, now);
    const sign = JSON.stringify([run, age]);
    if (sign === this._sign) {
      return;
    }
    this._sign = sign;
    this.node.dataset['name'] = run.id;
    this.node.dataset['state'] = run.state;
    this.node.title = `${run.output_run}\n${run.pipeline}`;
    const icon = (words: string, act: string, image: typeof stopIcon): HTMLElement => {
      const button = h('button', {
        class: 'lv-icon-button',
        type: 'button',
        title: words,
        'aria-label': words,
        'data-do': act
      });
      image.element({ container: button });
      return button;
    };
    const parts = quanta(run);
    // Until its graph is built there is nothing to count.
    const active = isActive(run) && parts.total === 0;
    const track = bar(parts, `progress of ${run.output_run}`);
    track.classList.toggle('lv-mod-unknown', active);
    const focused = this.node.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset['do']
      : undefined;
    fill(
      this.node,
      h(
        'div',
        { class: 'lv-run-head' },
        title(run.output_run),
        run.can_cancel && icon('Cancel this run', 'cancel', stopIcon),
        run.can_restart && icon('Restart this run: do what is left of it', 'restart', refreshIcon)
      ),
      track,
      h(
        'div',
        { class: 'lv-run-foot' },
        h('span', { class: `lv-state lv-mod-${run.state}` }, STATE_WORDS[run.state]),
        h('span', { class: 'lv-note' }, progressWords(run)),
        h('span', { class: 'lv-note lv-age' }, age)
      )
    );
    if (focused) {
      this.node.querySelector<HTMLElement>(`[data-do="${focused}"]`)?.focus();
    }
  }

  private _sign = '';
}
