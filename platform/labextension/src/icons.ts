/** Icons, drawn for this extension. Colours are the classes of JupyterLab's own icons, so that they follow the theme. */

import { LabIcon } from '@jupyterlab/ui-components';

// A lenticular cloud: a stack of lenses, thinner towards the top, with a wisp below.
const LENS = `
<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M7.1 6.4C8.6 5.1 10.3 4.5 12.2 4.5c1.8 0 3.5.6 4.9 1.9-1.5.6-3.2.9-5 .9s-3.5-.3-5-.9z"/>
    <path d="M4.3 10.2c1-1.1 2.1-1.9 3.3-2.5 1.4.5 2.9.8 4.5.8 1.6 0 3.1-.3 4.5-.8 1.3.6 2.4 1.4 3.4 2.5-2.3 1-5 1.5-7.9 1.5s-5.6-.5-7.8-1.5z"/>
    <path d="M1 14.6c.7-1.4 1.5-2.6 2.5-3.6 2.5 1.2 5.4 1.9 8.6 1.9s6.2-.7 8.7-1.9c.9 1 1.7 2.2 2.2 3.6-3 1.8-6.7 2.8-11 2.8s-8-1-11-2.8z"/>
    <path d="M6.5 18.5c1.8.4 3.7.6 5.7.6 2 0 3.9-.2 5.7-.6-1.5 1-3.5 1.5-5.7 1.5s-4.2-.5-5.7-1.5z"/>
  </g>
</svg>`;

export const lensIcon = new LabIcon({ name: 'lenticular:lens', svgstr: LENS });

// Tasks and dataset types, joined. What is not filled must not carry a class that JupyterLab fills.
const GRAPH = `
<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" fill="none">
  <g class="jp-icon3" stroke="#616161" stroke-width="1.4">
    <path d="M8 5v2.5M8 7.5L4.2 10.4M8 7.5l3.8 2.9"/>
    <rect x="4.5" y="1.5" width="7" height="3.5" rx=".6"/>
    <circle cx="3.8" cy="12.3" r="1.9"/>
    <circle cx="12.2" cy="12.3" r="1.9"/>
  </g>
</svg>`;

export const graphIcon = new LabIcon({ name: 'lenticular:graph', svgstr: GRAPH });

// A spiral galaxy in a frame.
const IMAGE = `
<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" fill="none">
  <g class="jp-icon3" stroke="#616161" stroke-width="1.3">
    <rect x="1.6" y="1.6" width="12.8" height="12.8" rx="1.2"/>
    <path stroke-linecap="round" d="M8 6.3c2-1.6 4.3-.6 4.3 1.5M8 9.7c-2 1.6-4.3.6-4.3-1.5"/>
  </g>
  <circle class="jp-icon3" fill="#616161" cx="8" cy="8" r="1.6"/>
</svg>`;

export const imageIcon = new LabIcon({ name: 'lenticular:image', svgstr: IMAGE });
