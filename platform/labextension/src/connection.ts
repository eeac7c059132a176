/** The way to the Jupyter server, with its base URL, token and XSRF cookie. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { Send } from './api.js';

/** Return how requests reach the routes of the server extension. */
export function serverSend(settings: ServerConnection.ISettings): Send {
  const root = URLExt.join(settings.baseUrl, 'lenticular', 'api');
  return (path, init) =>
    // By default a time stamp would be added as a parameter, which the routes do not know.
    ServerConnection.makeRequest(`${root}/${path}`, { cache: 'no-cache', ...init }, settings);
}

/** Return the address of a served view. */
export function viewUrl(
  settings: ServerConnection.ISettings,
  view: string,
  parameters: Readonly<Record<string, string>>
): string {
  const address = URLExt.join(settings.baseUrl, 'lenticular', 'views', encodeURIComponent(view));
  return `${address}?${new URLSearchParams(parameters).toString()}`;
}
