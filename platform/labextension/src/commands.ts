/** Names of the commands, and how their failures are told. */

import { Notification } from '@jupyterlab/apputils';

import { asApiError } from './api.js';

export const CommandIDs = {
  openWorkbench: 'lenticular:open-workbench',
  openTutorial: 'lenticular:open-tutorial',
  openRun: 'lenticular:open-run',
  openView: 'lenticular:open-view',
  showSidebar: 'lenticular:show-sidebar',
  refresh: 'lenticular:refresh',
  insertCode: 'lenticular:insert-code',
  copyName: 'lenticular:copy-name',
  copyCode: 'lenticular:copy-code',
  cancelRun: 'lenticular:cancel-run',
  restartRun: 'lenticular:restart-run'
} as const;

export const CATEGORY = 'lenticular';

/** Place of the cards in the launcher: between notebooks and consoles. */
export const CATEGORY_RANK = 10;

/** Do something, and tell if it fails. */
export async function told(work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { message, where, hint } = asApiError(error);
    const text = [where ? `${message} (${where})` : message, hint].filter(Boolean).join('. ');
    Notification.error(text.replace(/\.\./g, '.'), { autoClose: 10_000 });
  }
}

/** Whether an object has a text of this name, as the arguments of a command may. */
export function textOf(args: unknown, name: string): string | null {
  const value = (args as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
