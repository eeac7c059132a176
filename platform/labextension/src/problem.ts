/** An error on the page: what, where, and what to do. */

import type { ApiError } from './api.js';
import { h } from './dom.js';

/**
 * Return an element that tells an error.
 *
 * @param error The error.
 * @param retry What a button *Try again* does; none without.
 */
export function problem(error: ApiError, retry?: () => void): HTMLElement {
  return h(
    'div',
    { class: 'lv-problem', role: 'alert' },
    h('p', { class: 'lv-what' }, error.message),
    error.where && h('p', { class: 'lv-where' }, error.where),
    error.hint && h('p', {}, error.hint),
    retry && h('button', { class: 'lv-button', type: 'button', onclick: retry }, 'Try again')
  );
}
