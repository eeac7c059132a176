/** Viewers for QuantumGraphs and FITS files. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { DocumentRegistry, DocumentWidget } from '@jupyterlab/docregistry';
import type { LabIcon } from '@jupyterlab/ui-components';

import { FitsDocument } from '../fitsdocument.js';
import { GraphDocument } from '../graphdocument.js';
import { graphIcon, imageIcon } from '../icons.js';
import { ServerDocumentFactory, UNREAD, UnreadModelFactory, type ServerDocument } from '../serverdocument.js';
import { ILenticular } from '../tokens.js';

export const documents: JupyterFrontEndPlugin<void> = {
  id: '@lenticular/labextension:documents',
  description: 'Viewers for QuantumGraphs and FITS files.',
  autoStart: true,
  requires: [ILenticular],
  optional: [ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    { api, settings }: ILenticular,
    restorer: ILayoutRestorer | null
  ): void => {
    app.docRegistry.addModelFactory(new UnreadModelFactory());
    addViewer(app, restorer, {
      name: 'QuantumGraph',
      fileType: 'lenticular-qg',
      displayName: 'QuantumGraph',
      extensions: ['.qg'],
      icon: graphIcon,
      make: context => new GraphDocument(context, api, () => settings.values.rowsPerPage)
    });
    addViewer(app, restorer, {
      name: 'FITS',
      fileType: 'lenticular-fits',
      displayName: 'FITS file',
      extensions: ['.fits', '.fits.gz', '.fits.fz', '.fit', '.fz'],
      icon: imageIcon,
      make: context => new FitsDocument(context, api)
    });
  }
};

interface Viewer {
  /** Name of the viewer, as in *Open With*. */
  readonly name: string;
  readonly fileType: string;
  readonly displayName: string;
  readonly extensions: readonly string[];
  readonly icon: LabIcon;
  readonly make: (context: DocumentRegistry.Context) => ServerDocument;
}

function addViewer(app: JupyterFrontEnd, restorer: ILayoutRestorer | null, viewer: Viewer): void {
  app.docRegistry.addFileType({
    name: viewer.fileType,
    displayName: viewer.displayName,
    extensions: [...viewer.extensions],
    mimeTypes: ['application/octet-stream'],
    contentType: 'file',
    fileFormat: null,
    icon: viewer.icon
  });
  const factory = new ServerDocumentFactory(
    {
      name: viewer.name,
      label: viewer.name,
      modelName: UNREAD,
      fileTypes: [viewer.fileType],
      defaultFor: [viewer.fileType],
      readOnly: true
    },
    viewer.icon,
    viewer.make
  );
  const tracker = new WidgetTracker<DocumentWidget<ServerDocument>>({ namespace: viewer.fileType });
  factory.widgetCreated.connect((_, widget) => {
    widget.context.pathChanged.connect(() => void tracker.save(widget));
    void tracker.add(widget);
  });
  app.docRegistry.addWidgetFactory(factory);
  void restorer?.restore(tracker, {
    command: 'docmanager:open',
    args: widget => ({ path: widget.context.path, factory: viewer.name }),
    name: widget => widget.context.path
  });
}
