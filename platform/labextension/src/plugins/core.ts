/** What all other plugins stand on. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Api } from '../api.js';
import { Choice } from '../choice.js';
import { serverSend } from '../connection.js';
import { RunsModel } from '../runs.js';
import { Settings } from '../settings.js';
import { ILenticular } from '../tokens.js';

export const core: JupyterFrontEndPlugin<ILenticular> = {
  id: '@lenticular/labextension:plugin',
  description: 'The client of the server extension, the runs, and the settings.',
  autoStart: true,
  provides: ILenticular,
  optional: [ISettingRegistry],
  activate: (app: JupyterFrontEnd, registry: ISettingRegistry | null): ILenticular => {
    const server = app.serviceManager.serverSettings;
    const api = new Api(serverSend(server));
    const settings = new Settings();
    const intervals = (): { active: number; idle: number } => ({
      active: settings.values.pollInterval,
      idle: settings.values.idlePollInterval
    });
    const runs = new RunsModel({ api, intervals: intervals(), limit: settings.values.runsListed });
    settings.changed.connect(() => {
      runs.configure(intervals(), settings.values.runsListed);
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        void runs.refresh();
      }
    });
    const ready = registry
      ? settings.follow(registry, core.id).catch(reason => {
          console.error('The settings of lenticular could not be read', reason);
        })
      : Promise.resolve();
    void Promise.all([ready, app.restored]).then(() => runs.start());
    return { api, server, settings, runs, choice: new Choice() };
  }
};
