// The picture: Cytoscape.js draws, this file says where and how.
import cytoscape from 'cytoscape';
import { bytes, millis, percent, rate, securities } from './parts.jsx';

const column = 236, row = 78, top = 92, gap = 150, lower = 30;
const many = 400;
// From the middle of the highest nodes of a box up to where nothing covers its title.
const title = 86;
const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function style() {
  const [text, quiet, card, line, panel, accent] = ['text', 'quiet', 'card', 'line', 'panel', 'accent'].map(color);
  const [ok, warn, bad] = ['ok', 'warn', 'bad'].map(color);
  return [
    { selector: 'node', style: {
      label: 'data(label)', 'font-family': 'system-ui, sans-serif', 'font-size': 13, color: text, 'text-valign': 'center', 'text-wrap': 'wrap', 'text-max-width': 146,
      shape: 'round-rectangle', width: 152, height: 46, 'background-color': card, 'border-width': 2, 'border-color': line, 'min-zoomed-font-size': 6 } },
    { selector: 'node.cluster', style: {
      'text-valign': 'top', 'text-margin-y': -6, 'font-size': 15, 'font-weight': 600, 'text-max-width': 420, 'background-color': panel, 'border-width': 1, padding: 22, 'min-zoomed-font-size': 4 } },
    { selector: 'node.cluster.down', style: { 'border-color': bad, 'border-width': 2 } },
    { selector: 'node.ok', style: { 'border-color': ok } },
    { selector: 'node.degraded', style: { 'border-color': warn, 'border-width': 4 } },
    { selector: 'node.down', style: { 'border-color': bad, 'border-width': 4 } },
    { selector: 'node.empty, node.workload', style: { 'border-style': 'dashed' } },
    { selector: 'node.outside', style: { 'border-style': 'dotted', shape: 'ellipse' } },
    { selector: 'node.plane, node.gateway', style: { 'font-size': 12, height: 38, color: quiet, shape: 'cut-rectangle' } },
    { selector: 'node.gateway', style: { shape: 'hexagon' } },
    { selector: 'edge', style: {
      'curve-style': 'bezier', 'control-point-step-size': 46, 'target-arrow-shape': 'triangle', width: 'data(width)', 'line-color': ok, 'target-arrow-color': ok, 'arrow-scale': 1.1,
      'font-family': 'system-ui, sans-serif', 'font-size': 11, color: text, 'text-background-color': color('back'), 'text-background-opacity': 0.9, 'text-background-padding': 3,
      'text-background-shape': 'round-rectangle', 'min-zoomed-font-size': 7, 'text-wrap': 'wrap' } },
    { selector: 'edge.straight', style: { 'curve-style': 'straight' } },
    { selector: 'edge.across', style: { 'curve-style': 'unbundled-bezier', 'control-point-distances': 'data(bend)', 'text-margin-y': 'data(shift)', 'control-point-weights': 0.5 } },
    { selector: 'edge.labelled', style: { label: 'data(label)' } },
    { selector: 'edge.gateway', style: { 'line-style': 'dashed', 'line-dash-pattern': [9, 5] } },
    { selector: 'edge.unknown', style: { 'line-style': 'dotted' } },
    { selector: 'edge.plain', style: { 'line-color': accent, 'target-arrow-color': accent } },
    { selector: 'edge.idle', style: { 'line-color': line, 'target-arrow-color': line } },
    { selector: 'edge.warn', style: { 'line-color': warn, 'target-arrow-color': warn } },
    { selector: 'edge.bad', style: { 'line-color': bad, 'target-arrow-color': bad } },
    { selector: 'edge.watch', style: { 'line-style': 'dotted', 'line-color': quiet, 'target-arrow-color': quiet, 'target-arrow-shape': 'vee', width: 1.5 } },
    { selector: 'edge.watch.bad', style: { 'line-color': bad, 'target-arrow-color': bad, width: 3 } },
    { selector: ':selected', style: { 'overlay-color': accent, 'overlay-opacity': 0.22, 'overlay-padding': 5 } },
    { selector: 'edge:selected', style: { label: 'data(label)', 'z-index': 9 } },
  ];
}

export const flowKey = flow => `${flow.from}>${flow.to}>${flow.protocol}`;

export const flowText = flow => flow.protocol === 'tcp' ? `${bytes(flow.bytes)}` : flow.rate === 0 ? 'idle' : `${rate(flow.rate)}${flow.errors > 0 ? ` · ${percent(flow.errors)} errors` : ''}${flow.denied > 0 ? ` · ${percent(flow.denied)} denied` : ''}`;

const flowClass = flow => {
  const busy = flow.rate > 0 || flow.bytes > 0;
  return [flow.way === 'direct' ? '' : flow.way === 'unknown' ? 'unknown' : 'gateway', !busy ? 'idle' : flow.errors >= 0.05 ? 'bad' : flow.errors > 0 || flow.denied > 0 ? 'warn' : flow.security === 'plain' ? 'plain' : ''].filter(Boolean).join(' ');
};

/** What is drawn, as Cytoscape's elements. */
function elements(model, labels) {
  const nodes = [], edges = [];
  for (const cluster of model.clusters) {
    nodes.push({ id: cluster.context, classes: `cluster ${cluster.error ? 'down' : ''}`, label: `${cluster.name}${cluster.network ? ` · ${cluster.network}` : ''}${cluster.error ? ' · cannot be read' : ''}` });
    if (!model.control) continue;
    for (const plane of cluster.controlPlanes)
      nodes.push({ id: `${cluster.context} plane ${plane.namespace}`, parent: cluster.context, classes: `plane ${plane.ready === 0 ? 'down' : plane.ready < plane.all ? 'degraded' : ''}`, label: `istiod ${plane.ready}/${plane.all}${plane.serves === cluster.name ? '' : `\nfor ${plane.serves}`}` });
    for (const gateway of cluster.gateways)
      nodes.push({ id: `${cluster.context} gateway ${gateway.name}`, parent: cluster.context, classes: `gateway ${gateway.ready === 0 || gateway.addresses.length === 0 ? 'down' : ''}`, label: `gateway${gateway.ready === 0 ? ': none ready' : ''}\n${gateway.addresses[0] ?? 'no address'}` });
  }
  const known = new Set(model.clusters.map(cluster => cluster.context));
  for (const service of model.services)
    nodes.push({ id: service.id, parent: known.has(service.cluster) ? service.cluster : undefined, classes: `${service.kind} ${service.health}`, label: service.kind === 'outside' && service.name === 'outside' ? 'outside the mesh' : `${service.name}\n${service.namespace}` });
  const ids = new Set(nodes.map(node => node.id));
  const clusterOf = new Map(model.services.map(service => [service.id, service.cluster]));
  for (const flow of model.flows)
    if (ids.has(flow.from) && ids.has(flow.to))
      edges.push({ id: flowKey(flow), source: flow.from, target: flow.to, width: Math.min(7, 1.6 + Math.log10(1 + flow.rate) * 1.8), bend: 90, shift: 0,
        classes: `${flowClass(flow)} ${labels ? 'labelled' : ''} ${model.flows.length > many ? 'straight' : clusterOf.get(flow.from) === clusterOf.get(flow.to) ? '' : 'across'}`,
        label: `${flowText(flow)}${flow.p95 == null || flow.rate === 0 ? '' : `\np95 ${millis(flow.p95)}`}` });
  if (model.control)
    for (const watch of model.watches) {
      const from = nodes.find(node => node.parent === watch.from && node.classes.startsWith('plane'));
      if (from && known.has(watch.to)) edges.push({ id: `watch ${watch.from} ${watch.to}`, source: from.id, target: watch.to, width: 1.5, label: `watches: ${watch.status}`, classes: `watch ${watch.status === 'synced' && !watch.message ? '' : 'bad'}` });
    }
  return { nodes, edges };
}

/** Callers to the left of what they call, each cluster in a box of its own; the same mesh always has the same picture. */
function positions(nodes, edges, wide) {
  const depth = new Map(nodes.map(node => [node.id, 0]));
  for (let round = 0, changed = true; changed && round < 8; round++) {
    changed = false;
    for (const edge of edges)
      if (!edge.classes.startsWith('watch') && depth.get(edge.target) <= depth.get(edge.source) && depth.get(edge.source) < 7) {
        depth.set(edge.target, depth.get(edge.source) + 1);
        changed = true;
      }
  }
  const places = new Map();
  let offset = 0;
  for (const box of [...nodes.filter(node => node.classes.startsWith('cluster')), { id: undefined }]) {
    const own = nodes.filter(node => node.parent === box.id && !node.classes.startsWith('cluster'));
    if (own.length === 0 && !box.id) continue;
    const [above, below] = [own.filter(node => /^(plane|gateway)/.test(node.classes)), own.filter(node => !/^(plane|gateway)/.test(node.classes))];
    const rows = Math.max(4, Math.ceil(Math.sqrt(below.length * 1.6)));
    let columns = 0;
    for (const layer of [...new Set(below.map(node => depth.get(node.id)))].sort((a, b) => a - b)) {
      const layered = below.filter(node => depth.get(node.id) === layer).sort((a, b) => a.label.split('\n').reverse().join().localeCompare(b.label.split('\n').reverse().join()));
      // Every second column is lower, so that arrows between neighbours do not hide behind nodes.
      layered.forEach((node, i) => places.set(node.id, { x: columns + Math.floor(i / rows), y: top + (i % rows) * row + (columns + Math.floor(i / rows)) % 2 * lower }));
      columns += Math.ceil(layered.length / rows);
    }
    above.forEach((node, i) => places.set(node.id, { x: i, y: 0 }));
    columns = Math.max(columns, above.length, 1);
    const height = top + Math.min(rows, Math.max(1, below.length)) * row;
    for (const node of own) {
      const place = places.get(node.id);
      places.set(node.id, wide ? { x: offset + place.x * column, y: place.y } : { x: place.x * column, y: offset + place.y });
    }
    if (own.length === 0) places.set(box.id, wide ? { x: offset, y: 0 } : { x: 0, y: offset });
    offset += wide ? columns * column + gap : height + gap;
  }
  return places;
}

/** Draws into an element until it is destroyed. */
export class Graph {
  #shape = '';
  #last;

  constructor(container, onSelect, model) {
    // A large picture moves without its arrows, and with fewer pixels.
    const isLarge = model.services.length + model.flows.length > many;
    this.cy = cytoscape({
      container, style: style(), minZoom: 0.08, maxZoom: 2.5, boxSelectionEnabled: false, autoungrabify: true,
      hideEdgesOnViewport: isLarge, textureOnViewport: isLarge, ...(isLarge && { pixelRatio: 1 }),
    });
    this.cy.on('select', 'node, edge', e => onSelect(e.target.id()));
    this.cy.on('tap', e => e.target === this.cy && onSelect(''));
    this.theme = matchMedia('(prefers-color-scheme: dark)');
    this.restyle = () => this.cy.style(style());
    this.theme.addEventListener('change', this.restyle);
    this.sized = new ResizeObserver(() => { this.cy.resize(); this.#shape = ''; if (this.#last) this.draw(this.#last); });
    this.sized.observe(container);
  }

  draw(model) {
    this.#last = model;
    const { nodes, edges } = elements(model, model.flows.length <= 40);
    const shape = JSON.stringify([nodes.map(node => [node.id, node.parent]), edges.map(edge => edge.id)]);
    this.cy.batch(() => {
      const all = [...nodes, ...edges];
      if (shape !== this.#shape) {
        const wanted = new Set(all.map(item => item.id));
        this.cy.elements().filter(item => !wanted.has(item.id()) || (item.isNode() && (item.parent().id() ?? '') !== (nodes.find(node => node.id === item.id())?.parent ?? ''))).remove();
        const fresh = all.filter(item => this.cy.getElementById(item.id).empty());
        this.cy.add(fresh.map(({ classes, ...data }) => ({ data, classes })));
      }
      for (const item of all) {
        const { classes, ...data } = item;
        const drawn = this.cy.getElementById(item.id);
        if (drawn.data('label') !== data.label || drawn.data('width') !== data.width) drawn.data({ label: data.label, width: data.width });
        drawn.classes(classes.split(' ').filter(Boolean));
      }
    });
    if (shape === this.#shape) return;
    this.#shape = shape;
    const places = positions(nodes, edges, this.cy.width() > 700);
    // Arrows to the right pass below the nodes between, those to the left above them.
    for (const edge of this.cy.edges('.across')) {
      const [from, to] = [edge.source(), edge.target()].map(end => places.get(end.id()));
      if (!from || !to) continue;
      edge.data('bend', 30 + Math.hypot(from.x - to.x, from.y - to.y) * 0.2);
    }
    this.cy.nodes(':childless').positions(node => places.get(node.id()) ?? { x: 0, y: 0 });
    // With one box below the other, labels of arrows between them keep above the title of the lower one.
    const isStacked = this.cy.width() <= 700;
    for (const edge of this.cy.edges('.across')) {
      const lower = edge.source().position('y') > edge.target().position('y') ? edge.source() : edge.target();
      const highest = Math.min(...lower.parent().children().map(node => node.position('y')));
      edge.data('shift', isStacked ? Math.min(0, highest - title - edge.midpoint().y) : 0);
    }
    this.cy.fit(undefined, 24);
    if (this.cy.zoom() > 1.15) { this.cy.zoom(1.15); this.cy.center(); }
  }

  select(id) {
    this.cy.elements(':selected').unselect();
    if (id) this.cy.getElementById(id).select();
  }

  zoom(factor) {
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
  }

  fit() {
    this.cy.fit(undefined, 24);
  }

  destroy() {
    this.theme.removeEventListener('change', this.restyle);
    this.sized.disconnect();
    this.cy.destroy();
  }
}

export const flowDetails = flow => [
  ['Requests', flow.protocol === 'tcp' ? '' : rate(flow.rate)], ['Connections', flow.protocol === 'tcp' ? rate(flow.rate) : ''], ['Bytes', flow.bytes > 0 ? bytes(flow.bytes) : ''],
  ['Errors', flow.protocol === 'tcp' ? '' : percent(flow.errors)], ['Denied (401, 403)', flow.denied > 0 ? percent(flow.denied) : ''], ['Flags', flow.flags.join(', ')], ['Latency', flow.p50 == null ? '' : `${millis(flow.p50)} median, ${millis(flow.p95)} at the 95th percentile`],
  ['Protocol', flow.protocol], ['Security', securities[flow.security]], ['Caller', flow.identity], ['Way', { direct: 'direct', unknown: 'not known' }[flow.way] ?? `through ${flow.way}`],
];
