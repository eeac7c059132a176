/** One run in detail: its tasks, what failed, the end of its log. */

import { h, type Child } from './dom.js';
import * as format from './format.js';
import { STATE_WORDS, quanta } from './runs.js';
import type { FailureRow, RunAnswer, RunRow, TaskRow } from './wire.js';

/** Return what is known of a run. */
export function runDetails(run: RunAnswer): readonly Child[] {
  return [
    h(
      'dl',
      { class: 'lv-facts' },
      ...fact('state', h('span', { class: `lv-state lv-mod-${run.state}` }, STATE_WORDS[run.state])),
      ...fact('phase', run.phase),
      ...fact('left', run.eta_seconds === null ? null : `about ${format.duration(run.eta_seconds)}`),
      ...fact('pipeline', run.pipeline),
      ...fact('inputs', run.inputs.join(', ')),
      ...fact('where', run.where && h('code', {}, run.where)),
      ...fact('repository', run.label ?? 'none of this server'),
      ...fact('workers', format.count(run.workers)),
      ...fact('ID', h('code', {}, run.id))
    ),
    run.error && h('div', { class: 'lv-problem' }, h('p', { class: 'lv-what' }, run.error)),
    run.tasks.length > 0 && tasks(run.tasks),
    ...run.failures.map(failure),
    run.log_tail.trim() !== '' && log('end of the log', run.log_tail)
  ];
}

/** Return a bar with a run's or task's succeeded, failed and running quanta. */
export function bar(
  parts: { total: number; succeeded: number; failed: number; running: number },
  name: string
): HTMLElement {
  const { total, succeeded, failed, running } = parts;
  const part = (kind: string, number: number): HTMLElement =>
    h('span', {
      class: `lv-part lv-mod-${kind}`,
      style: `width: ${total > 0 ? (100 * number) / total : 0}%`
    });
  const words = [`${format.count(succeeded)} of ${format.counted(total, 'quantum', 'quanta')} succeeded`];
  if (failed > 0) {
    words.push(`${format.count(failed)} failed`);
  }
  if (running > 0) {
    words.push(`${format.count(running)} running`);
  }
  return h(
    'div',
    {
      class: 'lv-bar',
      role: 'progressbar',
      'aria-label': name,
      'aria-valuemin': 0,
      'aria-valuemax': total,
      'aria-valuenow': succeeded,
      'aria-valuetext': words.join(', '),
      title: words.join(', ')
    },
    part('succeeded', succeeded),
    part('failed', failed),
    part('running', running)
  );
}

/** Return how far a run is, in words. */
export function progressWords(run: RunRow): string {
  const { total, succeeded, failed } = quanta(run);
  if (total === 0) {
    return '';
  }
  const words = `${format.count(succeeded)} of ${format.counted(total, 'quantum', 'quanta')}`;
  return failed > 0 ? `${words}, ${format.count(failed)} failed` : words;
}

function tasks(rows: readonly TaskRow[]): HTMLElement {
  return h(
    'table',
    { class: 'lv-tasks' },
    h('caption', {}, 'tasks'),
    h(
      'tbody',
      {},
      ...rows.map(task =>
        h(
          'tr',
          {},
          h('th', { scope: 'row', title: task.label }, task.label),
          h('td', { class: 'lv-bar-cell' }, bar({ ...task, total: task.quanta }, task.label)),
          h('td', { class: 'lv-number' }, `${format.count(task.succeeded)}/${format.count(task.quanta)}`)
        )
      )
    )
  );
}

function failure(row: FailureRow): HTMLElement {
  return h(
    'div',
    { class: 'lv-problem' },
    h(
      'p',
      { class: 'lv-what' },
      `${row.task}: ${row.error} (${format.counted(row.count, 'quantum', 'quanta')})`
    ),
    h('p', {}, row.message),
    row.data_id && h('p', { class: 'lv-where' }, `first: ${row.data_id}`),
    row.log_tail.trim() !== '' && log('its log', row.log_tail)
  );
}

function log(title: string, text: string): HTMLElement {
  return h(
    'details',
    { class: 'lv-record' },
    h('summary', {}, title),
    h('pre', { class: 'lv-log', tabindex: 0 }, text)
  );
}

function fact(name: string, value: Child): Child[] {
  return value ? [h('dt', {}, name), h('dd', {}, value)] : [];
}
