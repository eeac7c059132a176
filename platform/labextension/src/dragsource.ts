/** A press that becomes a drag. */

import type { Actions } from './choice.js';
import type { Thing } from './things.js';

const THRESHOLD = 5;
const EVENTS = ['pointerdown', 'pointermove', 'pointerup', 'pointercancel'] as const;

/**
 * Lets the things that an element shows be dragged by mouse or pen.
 *
 * A finger scrolls instead, and a press on a button is the button's.
 */
export class DragSource {
  constructor(
    private readonly _node: HTMLElement,
    private readonly _thingAt: (event: Event) => Thing | null,
    private readonly _drag: Actions['drag']
  ) {}

  /** Begin to listen. */
  attach(): void {
    EVENTS.forEach(name => this._node.addEventListener(name, this));
  }

  /** Listen no longer. */
  detach(): void {
    EVENTS.forEach(name => this._node.removeEventListener(name, this));
    this._press = null;
  }

  handleEvent(event: Event): void {
    const { type, button, pointerType, clientX, clientY } = event as PointerEvent;
    const press = this._press;
    if (type === 'pointerdown') {
      const onButton = (event.target as Element).closest('button, .lv-insert, .lv-twisty') !== null;
      const thing = button === 0 && pointerType !== 'touch' && !onButton ? this._thingAt(event) : null;
      this._press = thing && { thing, x: clientX, y: clientY };
    } else if (type !== 'pointermove') {
      this._press = null;
    } else if (press && Math.hypot(clientX - press.x, clientY - press.y) > THRESHOLD) {
      this._press = null;
      event.preventDefault();
      this._drag(press.thing, clientX, clientY);
    }
  }

  private _press: { thing: Thing; x: number; y: number } | null = null;
}
