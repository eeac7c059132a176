/** A tab with one of the views that the Jupyter server passes on from the views' own process. */

import { MainAreaWidget, type IThemeManager } from '@jupyterlab/apputils';
import type { ServerConnection } from '@jupyterlab/services';
import { ToolbarButton, launchIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { ApiError } from './api.js';
import { viewUrl } from './connection.js';
import { fill, h } from './dom.js';
import { lensIcon } from './icons.js';
import { problem } from './problem.js';
import type { ViewRequest } from './views.js';

interface Options {
  readonly request: ViewRequest;
  readonly server: ServerConnection.ISettings;
  readonly themes: IThemeManager | null;
}

/** The page of a view, and what is said while it comes and if it does not. */
export class ServedView extends Widget {
  constructor(options: Options) {
    super({ node: h('div', { class: 'lv-view' }) });
    this._options = options;
    this._frame.title = options.request.title;
    this._frame.addEventListener('load', () => this._loaded());
    this.node.append(this._frame, this._cover);
  }

  get request(): ViewRequest {
    return this._options.request;
  }

  /** Address of the page. */
  get url(): string {
    const { request, server, themes } = this._options;
    const theme = themes?.theme && !themes.isLight(themes.theme) ? 'dark' : 'light';
    return viewUrl(server, request.view, { ...request.parameters, theme });
  }

  /** Whether something else than the view is shown. */
  get hasFailed(): boolean {
    return this._failed;
  }

  /** Load the page, again if it is there. */
  reload(): void {
    this._asked = true;
    this._failed = false;
    // Covered, not hidden: a page lays itself out by the room that it has.
    this._frame.hidden = false;
    this._cover.hidden = false;
    fill(
      this._cover,
      h(
        'div',
        { class: 'lv-wait', role: 'status' },
        h('span', { class: 'lv-spin' }),
        h('p', {}, 'Starting the view ...'),
        h('p', { class: 'lv-hint' }, 'The first one takes some seconds; those after it open at once.')
      )
    );
    this._frame.src = this.url;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // A frame that is moved in the page loads anew by itself.
    if (!this._asked) {
      this.reload();
    }
  }

  private _loaded(): void {
    if (!this._asked || this._frame.src === 'about:blank') {
      return;
    }
    const error = refusal(this._frame);
    this._failed = error !== null;
    this._frame.hidden = error !== null;
    this._cover.hidden = error === null;
    if (error) {
      fill(
        this._cover,
        problem(error, () => this.reload())
      );
    }
  }

  private readonly _options: Options;
  private readonly _frame = h('iframe', { class: 'lv-frame' });
  private readonly _cover = h('div', { class: 'lv-cover' });
  private _asked = false;
  private _failed = false;
}

/** Return why a frame has no view in it; `null` if it has one. */
function refusal(frame: HTMLIFrameElement): ApiError | null {
  const page = frame.contentDocument;
  const entry = frame.contentWindow?.performance?.getEntriesByType?.('navigation')[0];
  const status = (entry as (PerformanceEntry & { responseStatus?: number }) | undefined)?.responseStatus ?? 0;
  if (page === null || page.URL === 'about:blank') {
    return new ApiError({
      status: 0,
      kind: 'Unreachable',
      what: 'The server does not answer',
      hint: 'See whether Jupyter still runs, then try again.'
    });
  }
  if (status < 400) {
    return null;
  }
  const hints: Readonly<Record<number, string>> = {
    401: 'Reload this page to sign in again.',
    403: 'Reload this page to sign in again.',
    404: 'Enable the server extensions: jupyter server extension enable lenticular.platform.server jupyter_server_proxy'
  };
  return new ApiError({
    status,
    kind: 'Refused',
    what: `The server refuses to show the view (HTTP status ${status})`,
    where: (page.body?.innerText ?? '').trim().slice(0, 300),
    hint: hints[status] ?? 'The log of the Jupyter server says why.'
  });
}

/** Return a tab with a view. */
export function servedTab(options: Options, id: string): MainAreaWidget<ServedView> {
  const content = new ServedView(options);
  const tab = new MainAreaWidget({ content });
  tab.id = id;
  tab.addClass('lv-view-tab');
  tab.title.label = options.request.title;
  tab.title.icon = lensIcon;
  tab.title.closable = true;
  tab.toolbar.addItem(
    'reload',
    new ToolbarButton({ icon: refreshIcon, tooltip: 'Load the view anew', onClick: () => content.reload() })
  );
  tab.toolbar.addItem(
    'browser-tab',
    new ToolbarButton({
      icon: launchIcon,
      tooltip: 'Open in a browser tab',
      onClick: () => window.open(content.url, '_blank', 'noopener')
    })
  );
  return tab;
}
