/** The item in the status bar. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';

import { CommandIDs } from '../commands.js';
import { StatusItem } from '../status.js';
import { ILenticular } from '../tokens.js';

export const status: JupyterFrontEndPlugin<void> = {
  id: '@lenticular/labextension:status',
  description: 'The runs in the status bar.',
  autoStart: true,
  requires: [ILenticular, IStatusBar],
  activate: (app: JupyterFrontEnd, { runs }: ILenticular, statusBar: IStatusBar): void => {
    statusBar.registerStatusItem('lenticular:runs', {
      item: new StatusItem(runs, () => void app.commands.execute(CommandIDs.showSidebar)),
      align: 'left',
      rank: 50
    });
  }
};
