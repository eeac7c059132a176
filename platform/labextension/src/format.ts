/** Numbers, times and sizes as people read them. */

const THIN_SPACE = '\u2009';

/** Return a number with its thousands set apart. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

/** Return a number and the noun that goes with it. */
export function counted(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Return a number of bytes. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let power = 0;
  let scaled = value;
  while (scaled >= 999.5 && power < units.length - 1) {
    scaled /= 1000;
    power += 1;
  }
  const digits = power === 0 || scaled >= 99.5 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${units[power]}`;
}

/** Return a share between 0 and 1 in percent; 100 % only when nothing is left. */
export function percent(share: number): string {
  const bounded = Math.min(Math.max(share, 0), 1);
  return `${Math.floor(bounded * 100 + 1e-9)} %`;
}

/** Return a time in seconds. */
export function duration(seconds: number): string {
  if (seconds < 59.5) {
    return `${Math.max(0, Math.round(seconds))} s`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

/** Return how long ago a moment was; empty for one that cannot be read. */
export function ago(moment: string | null, now: number): string {
  const time = moment === null ? NaN : Date.parse(moment);
  return Number.isNaN(time) ? '' : `${duration(Math.max(0, now - time) / 1000)} ago`;
}
