/** What is chosen in the side bar, and what can be done with it. */

import { Signal, type ISignal } from '@lumino/signaling';

import type { Thing } from './things.js';

/** The one thing that the details are of, and that commands act upon. */
export class Choice {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get thing(): Thing | null {
    return this._thing;
  }

  set thing(thing: Thing | null) {
    this._thing = thing;
    this._changed.emit();
  }

  private _thing: Thing | null = null;
  private readonly _changed = new Signal<this, void>(this);
}

/** What a view can have done, without knowing how. */
export interface Actions {
  insertCode(thing: Thing): void;
  copyCode(thing: Thing): void;
  copyText(text: string): void;
  openWorkbench(thing: Thing): void;
  openRun(id: string): void;
  cancelRun(id: string): void;
  restartRun(id: string): void;
  /** Begin to drag a thing from where the pointer is. */
  drag(thing: Thing, x: number, y: number): void;
}
