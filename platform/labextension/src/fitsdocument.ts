/** The document of a FITS file: its HDUs, a picture, a header. */

import type { DocumentRegistry } from '@jupyterlab/docregistry';

import type { Api } from './api.js';
import { fill, h } from './dom.js';
import * as format from './format.js';
import { ServerDocument } from './serverdocument.js';
import type { Hdu, HeaderAnswer } from './wire.js';

const STRETCHES = ['asinh', 'linear', 'sqrt', 'log'] as const;
const LIMITS = ['zscale', '90', '95', '99', '99.5', '99.9', '100'] as const;
const ZOOMS = ['fit', '0.5', '1', '2', '4'] as const;

/** Pixels of the longer side of a picture that fits into the tab, and of one to be looked at closely. */
const SMALL = 1024;
const LARGE = 4096;

/** A picture with stretch and limits, the HDUs and their planes, and the header of one. */
export class FitsDocument extends ServerDocument {
  constructor(context: DocumentRegistry.Context, api: Api) {
    super(context, 'lv-fits');
    this._api = api;
    this._filter.addEventListener('input', () => this._drawCards());
    this._picture.addEventListener('mousemove', event => this._point(event));
    this._picture.addEventListener('mouseleave', () => fill(this._pointed));
  }

  protected override async load(signal: AbortSignal): Promise<void> {
    const { hdus } = await this._api.fits(this.path, signal);
    this._hdus = hdus;
    const chosen =
      hdus.find(hdu => hdu.index === this._hdu && this._wasChosen) ??
      hdus.find(hdu => hdu.picture) ??
      hdus[0];
    this._draw();
    if (chosen) {
      this._choose(chosen.index);
    } else {
      fill(this._frame, h('p', { class: 'lv-hint' }, 'This file is empty.'));
    }
  }

  override dispose(): void {
    this._release();
    super.dispose();
  }

  private _draw(): void {
    const select = (
      name: string,
      label: string,
      options: readonly (readonly [string, string])[],
      act: (value: string) => void
    ): HTMLElement => {
      const box = h(
        'select',
        { class: 'lv-select', 'data-lv-control': name, onchange: () => act(box.value) },
        ...options.map(([value, words]) => h('option', { value }, words))
      );
      return h('label', {}, `${label} `, box);
    };
    const pictures = this._hdus.filter(hdu => hdu.picture);
    this._hduBox = select(
      'hdu',
      'HDU',
      pictures.map(hdu => [String(hdu.index), `${hdu.index} ${hdu.name}`]),
      value => this._choose(Number(value))
    );
    fill(
      this.node,
      h(
        'div',
        { class: 'lv-bar-line' },
        pictures.length > 0 && this._hduBox,
        select('stretch', 'Stretch', pairs(STRETCHES), value => this._set({ stretch: value })),
        select(
          'limits',
          'Limits',
          LIMITS.map(value => [value, value === 'zscale' ? value : `${value} %`]),
          value => this._set({ limits: value })
        ),
        select(
          'zoom',
          'Zoom',
          ZOOMS.map(value => [value, value === 'fit' ? 'fit' : `${Number(value) * 100} %`]),
          value => this._set({ zoom: value })
        ),
        h('span', { class: 'lv-space' }),
        this._pointed
      ),
      h(
        'div',
        { class: 'lv-fits-body' },
        this._frame,
        h(
          'div',
          { class: 'lv-fits-side' },
          this._hduTable(),
          h('div', { class: 'lv-bar-line' }, h('strong', {}, 'Header'), this._filter, this._found),
          this._cards
        )
      )
    );
    this._set({});
  }

  private _hduTable(): HTMLElement {
    this._rows = this._hdus.map(hdu =>
      h(
        'tr',
        {
          tabindex: 0,
          'data-hdu': hdu.index,
          onclick: () => this._choose(hdu.index),
          onkeydown: (event: KeyboardEvent) => {
            if (event.key === 'Enter' || event.key === ' ') {
              event.preventDefault();
              this._choose(hdu.index);
            }
          }
        },
        h('td', { class: 'lv-number' }, String(hdu.index)),
        h('td', {}, hdu.name),
        h('td', {}, [kindOf(hdu), sizeOf(hdu), hdu.compression].filter(Boolean).join(', '))
      )
    );
    const head = ['', 'name', 'what'];
    return h(
      'table',
      { class: 'lv-table lv-hdus' },
      h('caption', {}, 'HDUs'),
      h('thead', {}, h('tr', {}, ...head.map(name => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, ...this._rows)
    );
  }

  private _choose(index: number): void {
    this._hdu = index;
    this._wasChosen = true;
    for (const row of this._rows) {
      row.setAttribute('aria-selected', String(row.dataset['hdu'] === String(index)));
    }
    const box = this._hduBox?.querySelector('select');
    if (box) {
      box.value = String(index);
    }
    void this.guarded(this._cards, async signal => {
      this._header = await this._api.fitsHeader(this.path, index, signal);
      this._drawCards();
    });
    this._paint();
  }

  private _set(changed: Partial<{ stretch: string; limits: string; zoom: string }>): void {
    this._look = { ...this._look, ...changed };
    for (const [name, value] of Object.entries(this._look)) {
      const box = this.node.querySelector<HTMLSelectElement>(`[data-lv-control="${name}"]`);
      if (box) {
        box.value = value;
      }
    }
    if (Object.keys(changed).length > 0) {
      this._paint();
    }
  }

  /** Fetch the picture and show it; the one before stays until then. */
  private _paint(): void {
    const hdu = this._hdus.find(candidate => candidate.index === this._hdu);
    if (!hdu?.picture) {
      this._release();
      fill(
        this._frame,
        h('p', { class: 'lv-hint' }, hdu ? `HDU ${hdu.index} holds no image.` : ''),
        planes(hdu)
      );
      return;
    }
    const { stretch, limits, zoom } = this._look;
    const size = zoom === 'fit' ? SMALL : LARGE;
    void this.guarded(this._frame, async signal => {
      const asked = { path: this.path, hdu: hdu.index, stretch, limits, size };
      const { picture, scale } = await this._api.fitsPicture(asked, signal);
      const address = URL.createObjectURL(picture);
      this._release();
      this._address = address;
      this._scale = scale;
      this._picture.src = address;
      this._picture.alt = `HDU ${hdu.index} ${hdu.name}, ${stretch}, limits ${limits}`;
      await this._picture.decode();
      this._place();
      if (this._picture.parentElement !== this._frame) {
        fill(this._frame);
      }
      fill(this._frame, this._picture, planes(hdu));
    });
  }

  private _place(): void {
    const { zoom } = this._look;
    this._frame.classList.toggle('lv-mod-fit', zoom === 'fit');
    const width = this._picture.naturalWidth * this._scale * Number(zoom);
    this._picture.style.width = zoom === 'fit' ? '' : `${width}px`;
    this._picture.classList.toggle('lv-mod-pixels', zoom !== 'fit' && Number(zoom) >= 2);
  }

  private _release(): void {
    if (this._address) {
      URL.revokeObjectURL(this._address);
      this._address = '';
    }
  }

  /** Tell the pixel under the pointer. */
  private _point(event: MouseEvent): void {
    const room = this._picture.getBoundingClientRect();
    const [columns, rows] = [
      this._picture.naturalWidth * this._scale,
      this._picture.naturalHeight * this._scale
    ];
    const x = Math.floor(((event.clientX - room.left) / room.width) * columns);
    // The lowest row of an image is drawn at the bottom.
    const y = Math.floor(((room.bottom - event.clientY) / room.height) * rows);
    fill(this._pointed, `column ${Math.max(x, 0)}, row ${Math.max(y, 0)}`);
  }

  private _drawCards(): void {
    const wanted = this._filter.value.trim().toLowerCase();
    const cards = this._header?.cards ?? [];
    const matching = cards.filter(card => wanted === '' || card.join(' ').toLowerCase().includes(wanted));
    fill(
      this._found,
      wanted === '' ? format.counted(cards.length, 'card') : `${matching.length} of ${cards.length}`
    );
    fill(
      this._cards,
      h(
        'table',
        { class: 'lv-table lv-cards' },
        h(
          'thead',
          {},
          h('tr', {}, ...['keyword', 'value', 'comment'].map(name => h('th', { scope: 'col' }, name)))
        ),
        h(
          'tbody',
          {},
          ...matching.map(([key, value, comment]) =>
            h('tr', {}, h('th', { scope: 'row' }, key), h('td', {}, valueText(value)), h('td', {}, comment))
          )
        )
      )
    );
  }

  private readonly _api: Api;
  private readonly _frame = h('div', {
    class: 'lv-picture',
    tabindex: 0,
    role: 'group',
    'aria-label': 'Picture'
  });
  private readonly _picture = h('img', { class: 'lv-image' });
  private readonly _pointed = h('span', {
    class: 'lv-note',
    title: 'Pixel under the pointer, counted from 0'
  });
  private readonly _filter = h('input', {
    class: 'lv-input',
    type: 'search',
    placeholder: 'Filter',
    'aria-label': 'Filter the header'
  });
  private readonly _found = h('span', { class: 'lv-note', 'aria-live': 'polite' });
  private readonly _cards = h('div', {
    class: 'lv-table-room',
    tabindex: 0,
    role: 'group',
    'aria-label': 'Header'
  });
  private _hduBox: HTMLElement | null = null;
  private _rows: readonly HTMLElement[] = [];
  private _hdus: readonly Hdu[] = [];
  private _header: HeaderAnswer | null = null;
  private _hdu = 0;
  private _wasChosen = false;
  private _look = { stretch: 'asinh', limits: '99.5', zoom: 'fit' };
  private _scale = 1;
  private _address = '';
}

function pairs(values: readonly string[]): [string, string][] {
  return values.map(value => [value, value]);
}

function kindOf(hdu: Hdu): string {
  return hdu.plane ? `${hdu.plane} plane` : hdu.type;
}

function sizeOf(hdu: Hdu): string {
  if (hdu.shape.length === 0) {
    return '';
  }
  // As people say it: columns first.
  return hdu.type === 'table' ? format.counted(hdu.shape[0]!, 'row') : [...hdu.shape].reverse().join(' × ');
}

/** Return the mask planes of an HDU. */
function planes(hdu: Hdu | undefined): HTMLElement | null {
  const names = Object.keys(hdu?.planes ?? {});
  return names.length === 0
    ? null
    : h(
        'p',
        { class: 'lv-planes' },
        h('span', { class: 'lv-kind' }, 'mask planes'),
        ...names.map(name => h('code', { title: `value ${hdu!.planes[name]}` }, name))
      );
}

function valueText(value: string | number | boolean | null): string {
  return value === null ? '' : value === true ? 'T' : value === false ? 'F' : String(value);
}
