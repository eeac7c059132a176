/**
 * Places for the tasks and dataset types of a QuantumGraph.
 *
 * A layered drawing from left to right after Sugiyama, Tagawa and Toda (IEEE
 * Trans. SMC 11, 109, 1981): layers by the longest path, long edges led
 * through waypoints, crossings reduced by barycentres in both directions, and
 * each node pulled towards the mean of its neighbours.
 */

import type { GraphAnswer } from './wire.js';

export interface PlacedNode {
  readonly id: string;
  readonly kind: 'task' | 'dataset-type';
  readonly name: string;
  /** Quanta of a task, datasets of a dataset type. */
  readonly count: number | null;
  /** Upper left corner, and size [px]. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedEdge {
  readonly from: string;
  readonly to: string;
  readonly count: number | null;
  /** Corners from the right side of one node to the left side of another [px]. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Drawing {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
}

const HEIGHT = 40;
const GAP_X = 40;
const GAP_Y = 14;
const MARGIN = 12;
const CHARACTER = 6.9;
const SWEEPS = 12;

interface Box {
  id: string;
  layer: number;
  /** Place in its layer. */
  order: number;
  width: number;
  height: number;
  /** Centre. */
  y: number;
  before: Box[];
  after: Box[];
}

/** Return the identifiers of an edge's ends; a dataset type may be called like a task. */
export function endsOf(graph: GraphAnswer, from: string, to: string): readonly [string, string] {
  const writes = graph.tasks.some(task => task.label === from && task.outputs.includes(to));
  return writes ? [taskId(from), datasetTypeId(to)] : [datasetTypeId(from), taskId(to)];
}

export function taskId(label: string): string {
  return `task:${label}`;
}

export function datasetTypeId(name: string): string {
  return `dataset-type:${name}`;
}

/** Place the nodes and edges of a graph. */
export function layout(graph: GraphAnswer): Drawing {
  const named = [
    ...graph.tasks.map(task => ({
      id: taskId(task.label),
      kind: 'task' as const,
      name: task.label,
      count: task.quanta
    })),
    ...graph.dataset_types.map(type => ({
      id: datasetTypeId(type.name),
      kind: 'dataset-type' as const,
      name: type.name,
      count: type.count
    }))
  ];
  const boxes = new Map(named.map(({ id, name }) => [id, box(id, widthOf(name), HEIGHT)]));
  const edges = graph.edges.flatMap(([from, to, count]) => {
    const [source, target] = endsOf(graph, from, to);
    return boxes.has(source) && boxes.has(target) ? [{ source, target, count }] : [];
  });
  for (const { source, target } of edges) {
    join(boxes.get(source)!, boxes.get(target)!);
  }
  assignLayers([...boxes.values()]);
  const waypoints = edges.map(({ source, target }) => split(boxes.get(source)!, boxes.get(target)!));
  const layers = layered([...boxes.values(), ...waypoints.flat()]);
  reduceCrossings(layers);
  const height = placeRows(layers);
  const lefts = columns(layers);
  const widths = layers.map(layer => Math.max(0, ...layer.map(each => each.width)));
  const left = (item: Box): number => lefts[item.layer]! + (widths[item.layer]! - item.width) / 2;
  return {
    nodes: named.map(node => {
      const placed = boxes.get(node.id)!;
      return {
        ...node,
        x: left(placed),
        y: placed.y - HEIGHT / 2,
        width: placed.width,
        height: HEIGHT
      };
    }),
    edges: edges.map(({ source, target, count }, index) => {
      const [first, last] = [boxes.get(source)!, boxes.get(target)!];
      const through = waypoints[index]!.map((point): [number, number] => [
        lefts[point.layer]! + widths[point.layer]! / 2,
        point.y
      ]);
      const start: [number, number] = [left(first) + first.width, first.y];
      return { from: source, to: target, count, points: [start, ...through, [left(last), last.y]] };
    }),
    width: layers.length > 0 ? lefts[layers.length - 1]! + widths[layers.length - 1]! + MARGIN : 2 * MARGIN,
    height
  };
}

function widthOf(name: string): number {
  return Math.max(76, Math.round(name.length * CHARACTER + 20));
}

function box(id: string, width: number, height: number): Box {
  return { id, layer: 0, order: 0, width, height, y: 0, before: [], after: [] };
}

function join(from: Box, to: Box): void {
  from.after.push(to);
  to.before.push(from);
}

/** Put each box one layer after the last of those before it, and inputs just before their first use. */
function assignLayers(boxes: readonly Box[]): void {
  const state = new Map<Box, 'open' | 'done'>();
  const visit = (item: Box): void => {
    if (state.has(item)) {
      return;
    }
    state.set(item, 'open');
    for (const earlier of [...item.before]) {
      if (state.get(earlier) === 'open') {
        // A graph has no cycles; should a file claim one, it is drawn without this edge.
        item.before.splice(item.before.indexOf(earlier), 1);
        earlier.after.splice(earlier.after.indexOf(item), 1);
        continue;
      }
      visit(earlier);
      item.layer = Math.max(item.layer, earlier.layer + 1);
    }
    state.set(item, 'done');
  };
  boxes.forEach(visit);
  for (const item of boxes) {
    if (item.before.length === 0 && item.after.length > 0) {
      item.layer = Math.min(...item.after.map(later => later.layer)) - 1;
    }
  }
}

/** Lead an edge through one waypoint in each layer between its ends, and return these. */
function split(from: Box, to: Box): Box[] {
  if (to.layer - from.layer < 2) {
    return [];
  }
  from.after.splice(from.after.indexOf(to), 1);
  to.before.splice(to.before.indexOf(from), 1);
  const points: Box[] = [];
  let last = from;
  for (let layer = from.layer + 1; layer < to.layer; layer++) {
    const point = box('', 0, 4);
    point.layer = layer;
    join(last, point);
    points.push(point);
    last = point;
  }
  join(last, to);
  return points;
}

function layered(boxes: readonly Box[]): Box[][] {
  const layers: Box[][] = [];
  for (const item of boxes) {
    const layer = (layers[item.layer] ??= []);
    item.order = layer.length;
    layer.push(item);
  }
  return Array.from(layers, layer => layer ?? []);
}

function reduceCrossings(layers: readonly Box[][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    const order = forward ? layers : [...layers].reverse();
    for (const layer of order) {
      const weight = new Map(
        layer.map(item => [
          item,
          mean((forward ? item.before : item.after).map(other => other.order)) ?? item.order
        ])
      );
      layer.sort((a, b) => weight.get(a)! - weight.get(b)! || a.order - b.order);
      layer.forEach((item, index) => (item.order = index));
    }
  }
}

/** Give each box a height in its layer near those of its neighbours; return the height of the drawing. */
function placeRows(layers: readonly Box[][]): number {
  for (const layer of layers) {
    let y = 0;
    for (const item of layer) {
      item.y = y + item.height / 2;
      y += item.height + GAP_Y;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      settle(
        layer,
        layer.map(item => mean([...item.before, ...item.after].map(other => other.y)) ?? item.y)
      );
    }
  }
  const all = layers.flat();
  const top = Math.min(0, ...all.map(item => item.y - item.height / 2));
  all.forEach(item => (item.y += MARGIN - top));
  return Math.max(0, ...all.map(item => item.y + item.height / 2)) + MARGIN;
}

/** Bring the boxes of a layer as near to where they want to be as their order and gaps allow. */
function settle(layer: readonly Box[], wanted: readonly number[]): void {
  const distance = (index: number): number => (layer[index - 1]!.height + layer[index]!.height) / 2 + GAP_Y;
  const down = [...wanted];
  for (let index = 1; index < down.length; index++) {
    down[index] = Math.max(down[index]!, down[index - 1]! + distance(index));
  }
  const up = [...wanted];
  for (let index = up.length - 2; index >= 0; index--) {
    up[index] = Math.min(up[index]!, up[index + 1]! - distance(index + 1));
  }
  // Both keep the gaps, hence so does their mean.
  layer.forEach((item, index) => (item.y = (down[index]! + up[index]!) / 2));
}

function columns(layers: readonly Box[][]): number[] {
  const lefts: number[] = [];
  let x = MARGIN;
  for (const layer of layers) {
    lefts.push(x);
    x += Math.max(0, ...layer.map(item => item.width)) + GAP_X;
  }
  return lefts;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Return the path of an edge: smooth, and horizontal at its ends and waypoints. */
export function pathOf(points: PlacedEdge['points']): string {
  const parts = points.map(([x, y], index) => {
    if (index === 0) {
      return `M${round(x)} ${round(y)}`;
    }
    const [beforeX, beforeY] = points[index - 1]!;
    const middle = (beforeX + x) / 2;
    return `C${round(middle)} ${round(beforeY)} ${round(middle)} ${round(y)} ${round(x)} ${round(y)}`;
  });
  return parts.join('');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
