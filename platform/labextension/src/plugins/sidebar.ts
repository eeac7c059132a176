/** The side bar and the commands that act on what is chosen there. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
import { IEditorTracker } from '@jupyterlab/fileeditor';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';
import { copyIcon, refreshIcon, stopIcon, addIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { Actions } from '../choice.js';
import { codeFor } from '../code.js';
import { CATEGORY, CommandIDs, textOf, told } from '../commands.js';
import { lensIcon } from '../icons.js';
import { dragThing, insertCode, type Places } from '../insert.js';
import { TreeModel } from '../model.js';
import { SIDEBAR_ID, SideBar } from '../sidebar.js';
import { serverSource } from '../source.js';
import { nameOf, thingFrom, type Thing } from '../things.js';
import { ILenticular } from '../tokens.js';

export const sidebar: JupyterFrontEndPlugin<void> = {
  id: '@lenticular/labextension:sidebar',
  description: 'A side bar with data repositories and runs.',
  autoStart: true,
  requires: [ILenticular, INotebookTracker],
  optional: [IEditorTracker, IStateDB, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    lenticular: ILenticular,
    notebooks: INotebookTracker,
    editors: IEditorTracker | null,
    state: IStateDB | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const { api, runs, settings, choice } = lenticular;
    const places: Places = { app, notebooks, editors };
    const panel = new SideBar({
      api,
      tree: new TreeModel(serverSource(api, () => settings.values.rowsPerPage)),
      runs,
      choice,
      actions: actionsOf(app, places),
      state,
      openWorkbench: () => void app.commands.execute(CommandIDs.openWorkbench),
      defaultRepository: () => settings.values.defaultRepository
    });
    app.shell.add(panel, 'left', { rank: 350, type: 'lenticular' });
    restorer?.add(panel, SIDEBAR_ID);
    addCommands(app, lenticular, places, panel);
    for (const command of [
      CommandIDs.showSidebar,
      CommandIDs.refresh,
      CommandIDs.insertCode,
      CommandIDs.copyCode,
      CommandIDs.cancelRun,
      CommandIDs.restartRun
    ]) {
      palette?.addItem({ command, category: CATEGORY });
    }
  }
};

/** What the views of the side bar can have done: all of it by commands, which others can call too. */
function actionsOf(app: JupyterFrontEnd, places: Places): Actions {
  const execute = (command: string, args: object): void => {
    void app.commands.execute(command, args as ReadonlyPartialJSONObject);
  };
  return {
    insertCode: thing => execute(CommandIDs.insertCode, thing),
    copyCode: thing => execute(CommandIDs.copyCode, thing),
    copyText: copied,
    openWorkbench: thing => execute(CommandIDs.openWorkbench, thing),
    openRun: id => execute(CommandIDs.openRun, { id }),
    cancelRun: id => execute(CommandIDs.cancelRun, { id }),
    restartRun: id => execute(CommandIDs.restartRun, { id }),
    drag: (thing, x, y) => void told(() => dragThing(thing, x, y, places))
  };
}

function copied(text: string): void {
  Clipboard.copyToSystem(text);
  Notification.emit('Copied', 'info', { autoClose: 1500 });
}

function addCommands(app: JupyterFrontEnd, lenticular: ILenticular, places: Places, panel: SideBar): void {
  const { choice } = lenticular;
  const { commands } = app;
  const chosen = (args: unknown): Thing | null => thingFrom(args) ?? choice.thing;
  const onThing = (
    label: string,
    caption: string,
    icon: typeof addIcon,
    act: (thing: Thing) => Promise<void> | void
  ) => ({
    label,
    caption,
    icon,
    isEnabled: (args: ReadonlyPartialJSONObject) => chosen(args) !== null,
    execute: (args: ReadonlyPartialJSONObject) => {
      const thing = chosen(args);
      return thing ? told(() => act(thing)) : undefined;
    }
  });
  commands.addCommand(CommandIDs.showSidebar, {
    label: 'Show data repositories and runs',
    icon: lensIcon,
    execute: () => app.shell.activateById(SIDEBAR_ID)
  });
  commands.addCommand(CommandIDs.refresh, {
    label: 'Refresh repositories and runs',
    icon: refreshIcon,
    execute: () => told(() => panel.refresh())
  });
  commands.addCommand(
    CommandIDs.insertCode,
    onThing(
      'Insert code',
      'Put Python for what is chosen in the side bar into the notebook',
      addIcon,
      thing => insertCode(thing, places)
    )
  );
  commands.addCommand(
    CommandIDs.copyName,
    onThing('Copy name', 'Copy the name of what is chosen in the side bar', copyIcon, thing =>
      copied(nameOf(thing))
    )
  );
  commands.addCommand(
    CommandIDs.copyCode,
    onThing('Copy as Python', 'Copy Python for what is chosen in the side bar', copyIcon, thing =>
      copied(codeFor(thing))
    )
  );
  addRunCommands(app, lenticular);
}

function addRunCommands(app: JupyterFrontEnd, { runs, choice, settings }: ILenticular): void {
  const idOf = (args: unknown): string | null =>
    textOf(args, 'id') ?? (choice.thing?.kind === 'run' ? choice.thing.id : null);
  const runOf = (args: unknown): ReturnType<typeof runs.find> => runs.find(idOf(args) ?? '');
  app.commands.addCommand(CommandIDs.cancelRun, {
    label: 'Cancel run',
    icon: stopIcon,
    isEnabled: args => runOf(args)?.can_cancel === true,
    execute: args =>
      told(async () => {
        const run = runOf(args);
        if (run && (!settings.values.confirmCancel || (await isConfirmed(run.output_run)))) {
          await runs.cancel(run.id);
        }
      })
  });
  app.commands.addCommand(CommandIDs.restartRun, {
    label: 'Restart run',
    icon: refreshIcon,
    isEnabled: args => runOf(args)?.can_restart === true,
    execute: args =>
      told(async () => {
        const run = runOf(args);
        if (run) {
          await runs.restart(run.id);
        }
      })
  });
}

async function isConfirmed(name: string): Promise<boolean> {
  const answer = await showDialog({
    title: 'Cancel this run?',
    body: `${name} stops. What has succeeded is kept; a restart does the rest.`,
    buttons: [Dialog.cancelButton({ label: 'Let it run' }), Dialog.warnButton({ label: 'Cancel the run' })]
  });
  return answer.button.accept;
}
