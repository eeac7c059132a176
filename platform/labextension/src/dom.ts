/** Making elements of the page, in few words. */

export type Child = Node | string | null | undefined | false;

export type Attributes = Readonly<
  Record<string, string | number | boolean | null | undefined | ((event: never) => void)>
>;

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Make an element.
 *
 * @param tag Its name.
 * @param attributes Its attributes; a function is a listener to the event `onNAME`. `true` is an empty
 * attribute, `false` and `null` none.
 * @param children What it holds.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children);
}

/** Make an element of SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      element.addEventListener(name.replace(/^on/, ''), value as EventListener);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...present(children));
  return element;
}

/** Replace what an element holds. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...present(children));
}

function present(children: readonly Child[]): (Node | string)[] {
  return children.filter(
    (child): child is Node | string => child instanceof Node || typeof child === 'string'
  );
}

/** Return a name whose beginning gives way where there is no room: its end tells it from its neighbours. */
export function title(name: string): HTMLElement {
  const cut = name.lastIndexOf('/') + 1;
  return h(
    'span',
    { class: 'lv-title' },
    cut > 0 && h('span', { class: 'lv-title-head' }, name.slice(0, cut)),
    h('span', { class: 'lv-title-tail' }, name.slice(cut))
  );
}

/** Make the children of an element these, in this order, moving none that is in its place. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  const keep = new Set<Element>(wanted);
  for (const child of [...parent.children]) {
    if (!keep.has(child)) {
      child.remove();
    }
  }
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) {
      parent.insertBefore(element, parent.children[index] ?? null);
    }
  });
}
