/** Documents that the server reads: the browser gets what is shown, never the file. */

import {
  ABCWidgetFactory,
  DocumentWidget,
  TextModelFactory,
  type DocumentRegistry
} from '@jupyterlab/docregistry';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { asApiError, isAborted } from './api.js';
import { fill, h } from './dom.js';
import { problem } from './problem.js';

/** Name of the model of a file whose content is not fetched. */
export const UNREAD = 'lenticular-unread';

/** A model that stays empty, so that opening a large file costs nothing. */
export class UnreadModelFactory extends TextModelFactory {
  override get name(): string {
    return UNREAD;
  }

  override get contentType(): 'file' {
    return 'file';
  }

  // JupyterLab takes the null to mean that the content is not wanted.
  override get fileFormat(): null {
    return null;
  }
}

/** What a document shows; each asks the server in `load`. */
export abstract class ServerDocument extends Widget {
  constructor(context: DocumentRegistry.Context, className: string) {
    super({ node: h('div', { class: `lv-document ${className}`, tabindex: -1 }) });
    this._context = context;
    context.fileChanged.connect(this.reload, this);
    context.pathChanged.connect(this.reload, this);
  }

  /** Path as the server knows it. */
  protected get path(): string {
    return this._context.localPath;
  }

  /** Ask the server for everything and draw it. */
  protected abstract load(signal: AbortSignal): Promise<void>;

  /** Load, and tell what goes wrong. */
  reload(): void {
    void this.guarded(this.node, signal => this.load(signal));
  }

  /** Do something with the server, the last of its kind in a place; its error is told in that place. */
  protected async guarded(place: Element, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this._requests.get(place)?.abort();
    const request = new AbortController();
    this._requests.set(place, request);
    place.setAttribute('aria-busy', 'true');
    try {
      await work(request.signal);
    } catch (error) {
      if (!isAborted(error) && !this.isDisposed) {
        fill(
          place,
          problem(asApiError(error), () => void this.guarded(place, work))
        );
      }
    } finally {
      if (this._requests.get(place) === request) {
        place.setAttribute('aria-busy', 'false');
      }
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (!this._begun) {
      this._begun = true;
      fill(
        this.node,
        h(
          'div',
          { class: 'lv-wait', role: 'status' },
          h('span', { class: 'lv-spin' }),
          h('p', {}, 'Reading ...')
        )
      );
      void this._context.ready.then(() => this.reload());
    }
  }

  override dispose(): void {
    this._requests.forEach(request => request.abort());
    super.dispose();
  }

  private readonly _context: DocumentRegistry.Context;
  private readonly _requests = new Map<Element, AbortController>();
  private _begun = false;
}

/** Makes the widgets of one kind of document. */
export class ServerDocumentFactory extends ABCWidgetFactory<DocumentWidget<ServerDocument>> {
  constructor(
    options: DocumentRegistry.IWidgetFactoryOptions<DocumentWidget<ServerDocument>>,
    icon: LabIcon,
    make: (context: DocumentRegistry.Context) => ServerDocument
  ) {
    super(options);
    this._icon = icon;
    this._make = make;
  }

  protected override createNewWidget(context: DocumentRegistry.Context): DocumentWidget<ServerDocument> {
    const widget = new DocumentWidget({ content: this._make(context), context });
    widget.title.icon = this._icon;
    // The document has controls of its own.
    widget.toolbar.hide();
    return widget;
  }

  private readonly _icon: LabIcon;
  private readonly _make: (context: DocumentRegistry.Context) => ServerDocument;
}
