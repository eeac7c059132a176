/** The tutorial: a card in the launcher, and a command. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ServerConnection } from '@jupyterlab/services';
import { notebookIcon } from '@jupyterlab/ui-components';

import { CATEGORY, CATEGORY_RANK, CommandIDs, told } from '../commands.js';
import { ILenticular } from '../tokens.js';

export const tutorial: JupyterFrontEndPlugin<void> = {
  id: '@lenticular/labextension:tutorial',
  description: 'Opens the tutorial.',
  autoStart: true,
  requires: [ILenticular],
  optional: [ILauncher, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { settings }: ILenticular,
    launcher: ILauncher | null,
    palette: ICommandPalette | null
  ): void => {
    app.commands.addCommand(CommandIDs.openTutorial, {
      label: args => (args['isLauncher'] ? 'Tutorial' : 'Open the tutorial'),
      caption: 'A first look: once around the loop, from collections to metrics',
      icon: notebookIcon,
      execute: () =>
        told(async () => {
          const path = settings.values.tutorial;
          if (await exists(app, path)) {
            await app.commands.execute('docmanager:open', { path });
          } else {
            await tellMissing(path);
          }
        })
    });
    launcher?.add({
      command: CommandIDs.openTutorial,
      args: { isLauncher: true },
      category: CATEGORY,
      rank: 2,
      categoryRank: CATEGORY_RANK
    });
    palette?.addItem({ command: CommandIDs.openTutorial, category: CATEGORY });
  }
};

async function exists(app: JupyterFrontEnd, path: string): Promise<boolean> {
  try {
    await app.serviceManager.contents.get(path, { content: false });
    return true;
  } catch (error) {
    if (error instanceof ServerConnection.ResponseError && error.response.status === 404) {
      return false;
    }
    throw error;
  }
}

async function tellMissing(path: string): Promise<void> {
  await showDialog({
    title: 'The tutorial is not here',
    body:
      `There is no ${path} below the folder of this server. ` +
      'The command "lenticular demo" opens JupyterLab with the tutorial and a repository for it. ' +
      'If yours has another name, the setting "Tutorial" of lenticular takes it.',
    buttons: [Dialog.okButton()]
  });
}
