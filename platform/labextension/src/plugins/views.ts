/** The views that the server serves, in tabs. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, WidgetTracker, type MainAreaWidget } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { UUID, type ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { ApiError } from '../api.js';
import { CATEGORY, CATEGORY_RANK, CommandIDs, textOf, told } from '../commands.js';
import { lensIcon } from '../icons.js';
import { servedTab, type ServedView } from '../servedview.js';
import { thingFrom, type Thing } from '../things.js';
import { ILenticular } from '../tokens.js';
import { viewOf, type ViewRequest } from '../views.js';

export const views: JupyterFrontEndPlugin<void> = {
  id: '@lenticular/labextension:views',
  description: 'Tabs with the workbench and other views.',
  autoStart: true,
  requires: [ILenticular],
  optional: [ILauncher, ICommandPalette, ILayoutRestorer, IThemeManager],
  activate: (
    app: JupyterFrontEnd,
    lenticular: ILenticular,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null
  ): void => {
    const { commands } = app;
    const tracker = new WidgetTracker<MainAreaWidget<ServedView>>({ namespace: 'lenticular-views' });
    const open = (request: ViewRequest): void => {
      const sign = signOf(request);
      let tab = tracker.find(other => signOf(other.content.request) === sign);
      if (tab?.content.hasFailed) {
        tab.content.reload();
      }
      if (!tab) {
        tab = servedTab({ request, server: lenticular.server, themes }, `lenticular-view-${UUID.uuid4()}`);
        void tracker.add(tab);
      }
      if (!tab.isAttached) {
        app.shell.add(tab, 'main', { type: 'lenticular' });
      }
      app.shell.activateById(tab.id);
    };
    commands.addCommand(CommandIDs.openView, {
      label: 'Open view',
      execute: args => told(() => open(args as unknown as ViewRequest))
    });
    commands.addCommand(CommandIDs.openWorkbench, {
      label: args =>
        args['isLauncher'] ? 'Workbench' : args['chosen'] ? 'Open in the workbench' : 'Open the workbench',
      caption: 'Browse collections, pick data and tasks, preview, launch, watch, look',
      icon: lensIcon,
      execute: args => told(async () => open(viewOf(await whatToOpen(args, lenticular))))
    });
    commands.addCommand(CommandIDs.openRun, {
      label: 'Open run',
      caption: 'Watch a run in a tab of its own',
      icon: lensIcon,
      isEnabled: args => runOf(args, lenticular) !== null,
      execute: args => {
        const run = runOf(args, lenticular);
        return run ? told(() => open(viewOf(run))) : undefined;
      }
    });
    launcher?.add({
      command: CommandIDs.openWorkbench,
      args: { isLauncher: true },
      category: CATEGORY,
      rank: 1,
      categoryRank: CATEGORY_RANK
    });
    palette?.addItem({ command: CommandIDs.openWorkbench, category: CATEGORY });
    palette?.addItem({ command: CommandIDs.openRun, category: CATEGORY });
    void restorer?.restore(tracker, {
      command: CommandIDs.openView,
      args: tab => tab.content.request as unknown as ReadonlyPartialJSONObject,
      name: tab => signOf(tab.content.request)
    });
  }
};

/** Return what tells one view from another, in any order of its parameters. */
function signOf({ view, parameters }: ViewRequest): string {
  return `${view}?${new URLSearchParams(Object.entries(parameters).sort()).toString()}`;
}

/** Return what is named, or chosen in the side bar, or else a repository. */
async function whatToOpen(args: unknown, { api, choice, settings }: ILenticular): Promise<Thing> {
  const thing = thingFrom(args);
  if (thing) {
    return thing;
  }
  const label = textOf(args, 'label');
  if (label) {
    return { kind: 'repository', label };
  }
  const chosen = isChosen(args) ? choice.thing : null;
  if (chosen) {
    return chosen;
  }
  const { repositories } = await api.repositories();
  const wanted =
    repositories.find(each => each.label === settings.values.defaultRepository) ?? repositories[0];
  if (!wanted) {
    throw new ApiError({
      status: 404,
      kind: 'NotFoundError',
      what: 'This server has no repository',
      hint: 'Name one in DAF_BUTLER_REPOSITORY_INDEX, or try: lenticular demo'
    });
  }
  return { kind: 'repository', label: wanted.label };
}

/** Whether a command is asked to act on what is chosen in the side bar, as its context menu asks. */
function isChosen(args: unknown): boolean {
  return (args as { chosen?: unknown } | null | undefined)?.chosen === true;
}

function runOf(args: unknown, { choice, runs }: ILenticular): Thing | null {
  const id = textOf(args, 'id');
  if (id) {
    const known = runs.find(id);
    return { kind: 'run', id, label: known?.label ?? null, outputRun: known?.output_run ?? '' };
  }
  return choice.thing?.kind === 'run' ? choice.thing : null;
}
