/** lenticular in JupyterLab. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { core } from './plugins/core.js';
import { documents } from './plugins/documents.js';
import { sidebar } from './plugins/sidebar.js';
import { status } from './plugins/status.js';
import { tutorial } from './plugins/tutorial.js';
import { views } from './plugins/views.js';

export { ILenticular } from './tokens.js';

const plugins: JupyterFrontEndPlugin<unknown>[] = [core, sidebar, views, tutorial, status, documents];

export default plugins;
