/** The side bar: data, details, runs. */

import type { IStateDB } from '@jupyterlab/statedb';
import {
  PanelWithToolbar,
  SidePanel,
  ToolbarButton,
  clearIcon,
  launchIcon,
  refreshIcon
} from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import { Debouncer } from '@lumino/polling';
import { Widget, type AccordionPanel } from '@lumino/widgets';

import type { Api } from './api.js';
import type { Actions, Choice } from './choice.js';
import { DetailsView } from './details.js';
import { h } from './dom.js';
import { lensIcon } from './icons.js';
import type { TreeModel, TreeState } from './model.js';
import type { RunsModel } from './runs.js';
import { RunsView } from './runsview.js';
import { TreeView } from './tree.js';

export const SIDEBAR_ID = 'lenticular-sidebar';

const STATE_KEY = '@lenticular/labextension:sidebar';
const FILTER_MS = 300;
const SAVE_MS = 500;
/** Shares of the height of data, details and runs. */
const SHARES = [5, 4, 3];

export interface SideBarOptions {
  readonly api: Api;
  readonly tree: TreeModel;
  readonly runs: RunsModel;
  readonly choice: Choice;
  readonly actions: Actions;
  readonly state: IStateDB | null;
  readonly openWorkbench: () => void;
  /** Repository to begin with, if none was opened before. */
  readonly defaultRepository: () => string;
}

interface Kept extends TreeState {
  /** Titles of the sections that are folded. */
  readonly folded: readonly string[];
}

/** Repositories to browse, what is known of the chosen thing, and runs. */
export class SideBar extends SidePanel {
  constructor(options: SideBarOptions) {
    super();
    this._options = options;
    this.id = SIDEBAR_ID;
    this.addClass('lv-sidebar');
    this.title.icon = lensIcon;
    this.title.caption = 'lenticular: data repositories and runs';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'lenticular: data repositories and runs');
    const { tree, runs, choice, actions, api } = options;
    this._tree = new TreeView(tree, actions);
    const details = new DetailsView({ api, choice, runs, actions });
    this._refreshDetails = () => details.refresh();
    this._addSections(details, new RunsView({ runs, choice, actions }));
    tree.changed.connect(() => this._keep());
    tree.selectionChanged.connect(() => {
      choice.thing = tree.selected?.thing ?? null;
      this._keep();
    });
    // A run has made collections, or filled them.
    runs.moved.connect(() => void tree.refresh());
    runs.recovered.connect(() => void this._recover());
    void this._restore();
  }

  /** Ask the server for everything anew. */
  async refresh(): Promise<void> {
    await Promise.all([this._options.tree.refresh(), this._options.runs.refresh()]);
    this._refreshDetails();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this._tree.focus();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    if (!this._sized) {
      this._sized = true;
      this._accordion.setRelativeSizes(SHARES);
    }
    void this._options.runs.refresh();
  }

  override dispose(): void {
    this._saver.dispose();
    this._filtering.dispose();
    super.dispose();
  }

  private get _accordion(): AccordionPanel {
    return this.content as AccordionPanel;
  }

  private _addSections(details: Widget, runs: Widget): void {
    const data = new PanelWithToolbar();
    data.title.label = 'Data';
    data.addClass('lv-data');
    data.addWidget(new Widget({ node: this._filterBox() }));
    data.addWidget(this._tree);
    data.toolbar.addItem(
      'workbench',
      new ToolbarButton({
        icon: launchIcon,
        tooltip: 'Open the workbench',
        onClick: this._options.openWorkbench
      })
    );
    data.toolbar.addItem(
      'refresh',
      new ToolbarButton({ icon: refreshIcon, tooltip: 'Refresh', onClick: () => void this.refresh() })
    );
    this.addWidget(data);
    for (const [label, widget] of [
      ['Details', details],
      ['Runs', runs]
    ] as const) {
      const section = new PanelWithToolbar();
      section.title.label = label;
      section.addClass('lv-section');
      section.addWidget(widget);
      this.addWidget(section);
    }
    this._accordion.expansionToggled.connect(() => this._keep());
  }

  private _filterBox(): HTMLElement {
    const input = h('input', {
      class: 'lv-input',
      type: 'search',
      placeholder: 'Filter: a word or a glob, such as u/*/coadd',
      'aria-label': 'Filter collections and dataset types by a word or a glob',
      spellcheck: 'false',
      oninput: () => void this._filtering.invoke(input.value),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === 'Enter') {
          void this._options.tree.setFilter(input.value);
        } else if (event.key === 'ArrowDown') {
          event.preventDefault();
          this._tree.focus();
        }
      }
    });
    const clear = h('button', {
      class: 'lv-icon-button',
      type: 'button',
      title: 'Clear the filter',
      'aria-label': 'Clear the filter',
      onclick: () => {
        input.value = '';
        void this._options.tree.setFilter('');
      }
    });
    clearIcon.element({ container: clear });
    return h('div', { class: 'lv-filter' }, input, clear);
  }

  /** What could not be fetched is fetched as soon as the server is back. */
  private async _recover(): Promise<void> {
    if (this._options.tree.hasFailed) {
      await this._options.tree.retry();
    }
    this._refreshDetails();
  }

  private async _restore(): Promise<void> {
    const { tree, state, choice } = this._options;
    const kept = (await state?.fetch(STATE_KEY).catch(() => undefined)) as Kept | undefined;
    if (kept && Array.isArray(kept.expanded)) {
      tree.restore({ expanded: kept.expanded, selected: kept.selected ?? null });
    }
    await tree.refresh();
    const repositories = tree.rows.filter(row => row.kind === 'node' && row.node.level === 1);
    if (!kept) {
      const wanted = this._options.defaultRepository();
      const first =
        repositories.find(row => row.kind === 'node' && row.node.title === wanted) ??
        (repositories.length === 1 ? repositories[0] : undefined);
      if (first) {
        await tree.expand(first.key);
      }
    }
    for (const [index, section] of this._accordion.widgets.entries()) {
      if (kept?.folded?.includes(section.title.label)) {
        this._accordion.collapse(index);
      }
    }
    choice.thing = tree.selected?.thing ?? null;
    this._restored = true;
  }

  /** Write down what is open, in a moment. */
  private _keep(): void {
    if (this._restored) {
      void this._saver.invoke();
    }
  }

  private async _save(): Promise<void> {
    const sections = this._accordion.widgets.filter(section => section.isHidden);
    const kept: Kept = { ...this._options.tree.state, folded: sections.map(section => section.title.label) };
    await this._options.state?.save(STATE_KEY, kept as unknown as ReadonlyPartialJSONValue);
  }

  private readonly _options: SideBarOptions;
  private readonly _tree: TreeView;
  private readonly _refreshDetails: () => void;
  private readonly _filtering = new Debouncer(
    (text: string) => this._options.tree.setFilter(text),
    FILTER_MS
  );
  private readonly _saver = new Debouncer(() => this._save(), SAVE_MS);
  private _restored = false;
  private _sized = false;
}
