/** The settings, with values that can be relied on. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal, type ISignal } from '@lumino/signaling';

export interface Values {
  readonly defaultRepository: string;
  readonly pollInterval: number;
  readonly idlePollInterval: number;
  readonly confirmCancel: boolean;
  readonly rowsPerPage: number;
  readonly runsListed: number;
  readonly tutorial: string;
}

export const DEFAULTS: Values = {
  defaultRepository: '',
  pollInterval: 2,
  idlePollInterval: 15,
  confirmCancel: true,
  rowsPerPage: 100,
  runsListed: 20,
  tutorial: 'first-look.ipynb'
};

/** Return settings of the right types; what is not takes its default. */
export function checked(composite: Readonly<Record<string, unknown>>): Values {
  const values = Object.entries(DEFAULTS).map(([name, value]) => {
    const given = composite[name];
    return [name, typeof given === typeof value ? given : value];
  });
  return Object.fromEntries(values) as unknown as Values;
}

/** The settings as they are now. */
export class Settings {
  get values(): Values {
    return this._values;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Follow the registry's settings of a plugin. */
  async follow(registry: ISettingRegistry, plugin: string): Promise<void> {
    const settings = await registry.load(plugin);
    const take = (): void => {
      this._values = checked(settings.composite);
      this._changed.emit();
    };
    settings.changed.connect(take);
    take();
  }

  private _values = DEFAULTS;
  private readonly _changed = new Signal<this, void>(this);
}
