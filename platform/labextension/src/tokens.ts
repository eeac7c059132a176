/** What the plugins of this extension share, and other extensions may use. */

import type { ServerConnection } from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';

import type { Api } from './api.js';
import type { Choice } from './choice.js';
import type { RunsModel } from './runs.js';
import type { Settings } from './settings.js';

/** The server's routes, the runs, the settings, and what is chosen in the side bar. */
export interface ILenticular {
  readonly api: Api;
  readonly server: ServerConnection.ISettings;
  readonly settings: Settings;
  readonly runs: RunsModel;
  readonly choice: Choice;
}

export const ILenticular = new Token<ILenticular>(
  '@lenticular/labextension:ILenticular',
  'The data repositories and runs of lenticular.'
);
