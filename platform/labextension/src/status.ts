/** The item in the status bar: how many runs are going on, and how far the latest is. */

import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { fill, h } from './dom.js';
import { lensIcon } from './icons.js';
import { isActive, summary, type RunsModel } from './runs.js';

/** A button with a summary of the runs. */
export class StatusItem extends Widget {
  /**
   * @param runs The runs.
   * @param open What a click does.
   */
  constructor(runs: RunsModel, open: () => void) {
    super({ node: h('div', { class: 'lv-status' }) });
    this._runs = runs;
    const icon = h('span', { class: 'lv-status-icon', 'aria-hidden': 'true' });
    lensIcon.element({ container: icon, stylesheet: 'statusBar' });
    this.node.append(
      h('button', { class: 'lv-status-button', type: 'button', onclick: open }, icon, this._words)
    );
    runs.changed.connect(() => this.update());
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.update();
  }

  protected override onUpdateRequest(msg: Message): void {
    super.onUpdateRequest(msg);
    const { runs, error } = this._runs;
    const words = summary(runs, error);
    fill(this._words, words);
    const latest = runs.find(isActive);
    this.node.title = error
      ? `lenticular: ${error.message}. ${error.hint}`
      : latest
        ? `lenticular: ${latest.output_run}`
        : 'lenticular: data repositories and runs';
    this.node.firstElementChild!.setAttribute('aria-label', `lenticular: ${words}`);
    this.node.classList.toggle('lv-mod-active', latest !== undefined && error === null);
    this.node.classList.toggle('lv-mod-error', error !== null);
  }

  private readonly _runs: RunsModel;
  private readonly _words = h('span', { class: 'lv-status-words' });
}
