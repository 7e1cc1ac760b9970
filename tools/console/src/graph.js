// The picture: Cytoscape.js draws, this file says where and how.
import cytoscape from 'cytoscape';
import { Labels } from './labels.js';
import { layout, node as size } from './layout.js';
import { bytes, millis, percent, rate, securities } from './parts.jsx';

// More arrows than that are straight lines without labels.
const many = 400;
// The picture gets higher rather than unreadable, up to so many pixels.
const readable = 0.9, highest = 1300, margin = 20;
const titleFont = '600 15px system-ui, sans-serif';
const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function style() {
  const [text, quiet, card, line, panel, accent] = ['text', 'quiet', 'card', 'line', 'panel', 'accent'].map(color);
  const [ok, warn, bad, info] = ['ok', 'warn', 'bad', 'info'].map(color);
  return [
    { selector: 'node', style: {
      label: 'data(label)', 'font-family': 'system-ui, sans-serif', 'font-size': 13, color: text, 'text-valign': 'center', 'text-wrap': 'wrap', 'text-max-width': size.width - 6,
      shape: 'round-rectangle', width: size.width, height: size.height, 'background-color': card, 'border-width': 2, 'border-color': line, 'min-zoomed-font-size': 6 } },
    { selector: 'node.cluster', style: {
      'text-valign': 'top', 'text-halign': 'left', 'text-margin-x': 'data(title)', 'text-margin-y': -5, 'font-size': 15, 'font-weight': 600, 'text-max-width': 420, 'background-color': panel, 'border-width': 1, padding: 22, 'min-zoomed-font-size': 4 } },
    { selector: 'node.cluster.down', style: { 'border-color': bad, 'border-width': 2 } },
    { selector: 'node.ok', style: { 'border-color': ok } },
    { selector: 'node.degraded', style: { 'border-color': warn, 'border-width': 4 } },
    { selector: 'node.down', style: { 'border-color': bad, 'border-width': 4 } },
    { selector: 'node.empty, node.workload', style: { 'border-style': 'dashed' } },
    { selector: 'node.outside, node.proxies', style: { 'border-style': 'dotted', shape: 'ellipse' } },
    { selector: 'node.plane, node.gateway', style: { 'font-size': 12, height: 38, color: quiet, shape: 'cut-rectangle' } },
    { selector: 'node.gateway', style: { shape: 'hexagon' } },
    { selector: 'edge', style: {
      'curve-style': 'bezier', 'target-arrow-shape': 'triangle', width: 'data(width)', 'line-color': ok, 'target-arrow-color': ok, 'arrow-scale': 1.1,
      'font-family': 'system-ui, sans-serif', 'font-size': 12, color: text, 'text-background-color': color('back'), 'text-background-opacity': 0.9, 'text-background-padding': 2,
      'text-background-shape': 'round-rectangle', 'min-zoomed-font-size': 7, 'text-wrap': 'wrap' } },
    { selector: 'edge.straight', style: { 'curve-style': 'straight' } },
    { selector: 'edge.routed', style: { 'curve-style': 'straight', 'source-endpoint': 'data(out)', 'target-endpoint': 'data(into)', 'text-margin-x': 'data(dx)', 'text-margin-y': 'data(dy)' } },
    { selector: 'edge.cornered', style: { 'curve-style': 'round-segments', 'edge-distances': 'endpoints', 'segment-weights': 'data(weights)', 'segment-distances': 'data(distances)', 'segment-radii': 12 } },
    { selector: 'edge.labelled', style: { label: 'data(label)' } },
    { selector: 'edge.gateway', style: { 'line-style': 'dashed', 'line-dash-pattern': [9, 5] } },
    { selector: 'edge.unknown', style: { 'line-style': 'dotted' } },
    { selector: 'edge.unsure', style: { 'line-color': info, 'target-arrow-color': info } },
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
  return [flow.way === 'direct' ? '' : flow.way === 'unknown' ? 'unknown' : 'gateway', !busy ? 'idle' : flow.errors >= 0.05 ? 'bad' : flow.errors > 0 || flow.denied > 0 ? 'warn' : { plain: 'plain', unknown: 'unsure' }[flow.security]].filter(Boolean).join(' ');
};

const nodeText = node => node.kind === 'proxies' ? 'proxies\nthemselves' : node.kind === 'outside' && node.name === 'outside' ? 'outside the mesh' : `${node.name}\n${node.namespace}`;

const pen = document.createElement('canvas').getContext('2d');
function widthOf(text, font) {
  pen.font = font;
  return Math.max(...text.split('\n').map(line => pen.measureText(line).width));
}

/** What is drawn, as Cytoscape's elements. */
function elements(model) {
  const nodes = [], edges = [];
  for (const cluster of model.clusters) {
    const label = `${cluster.name}${cluster.network ? ` · ${cluster.network}` : ''}${cluster.error ? ' · cannot be read' : ''}`;
    nodes.push({ id: cluster.context, classes: `cluster ${cluster.error ? 'down' : ''}`, label, title: widthOf(label, titleFont) });
    if (!model.control) continue;
    for (const plane of cluster.controlPlanes)
      nodes.push({ id: `${cluster.context} plane ${plane.namespace}`, parent: cluster.context, classes: `plane ${plane.ready === 0 ? 'down' : plane.ready < plane.all ? 'degraded' : ''}`, label: `istiod ${plane.ready}/${plane.all}${plane.serves === cluster.name ? '' : `\nfor ${plane.serves}`}` });
    for (const gateway of cluster.gateways)
      nodes.push({ id: `${cluster.context} gateway ${gateway.name}`, parent: cluster.context, classes: `gateway ${gateway.ready === 0 || gateway.addresses.length === 0 ? 'down' : ''}`, label: `gateway\n${gateway.ready === 0 ? 'none ready' : gateway.addresses[0] ?? 'no address'}` });
  }
  const known = new Set(model.clusters.map(cluster => cluster.context));
  for (const service of model.services)
    nodes.push({ id: service.id, parent: known.has(service.cluster) ? service.cluster : undefined, classes: `${service.kind} ${service.health}`, label: nodeText(service) });
  const ids = new Set(nodes.map(node => node.id));
  for (const flow of model.flows)
    if (ids.has(flow.from) && ids.has(flow.to))
      edges.push({ id: flowKey(flow), source: flow.from, target: flow.to, width: Math.min(7, 1.6 + Math.log10(1 + flow.rate) * 1.8), classes: `flow ${flowClass(flow)}`,
        label: [...flowText(flow).split(' · '), ...(flow.p95 == null || flow.rate === 0 ? [] : [`p95 ${millis(flow.p95)}`])].join('\n') });
  if (model.control)
    for (const watch of model.watches) {
      const from = nodes.find(node => node.parent === watch.from && node.classes.startsWith('plane'));
      if (from && known.has(watch.to)) edges.push({ id: `watch ${watch.from} ${watch.to}`, source: from.id, target: watch.to, width: 1.5, label: `watches: ${watch.status}`, classes: `watch ${watch.status === 'synced' && !watch.message ? '' : 'bad'}` });
    }
  return { nodes, edges };
}

/** What the layout needs to know. */
function parts(nodes, edges, isSimple) {
  const isAbove = node => /^(plane|gateway)/.test(node.classes);
  const boxes = nodes.filter(node => node.classes.startsWith('cluster')).map(node => node.id);
  const own = nodes.filter(node => !boxes.includes(node.id));
  return {
    boxes: own.some(node => !node.parent) ? [...boxes, undefined] : boxes,
    nodes: own.filter(node => !isAbove(node)).map(node => ({ id: node.id, box: node.parent, name: node.label.split('\n').reverse().join() })),
    // A box without nodes is a node itself.
    above: new Map(boxes.map(box => [box, own.some(node => node.parent === box) ? own.filter(node => node.parent === box && isAbove(node)).map(node => node.id) : [box]])),
    edges: edges.filter(edge => edge.classes.startsWith('flow')), isSimple,
  };
}

/** Draws into an element until it is destroyed. */
export class Graph {
  #shape = '';
  #last;
  #plan;
  #ways = new Map();
  #labels = new Labels();

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
    const { nodes, edges } = elements(model);
    const isSimple = edges.length > many;
    const shape = JSON.stringify([nodes.map(node => [node.id, node.parent]), edges.map(edge => edge.id)]);
    this.cy.batch(() => {
      const all = [...nodes, ...edges];
      if (shape !== this.#shape) {
        this.#plan = layout(parts(nodes, edges, isSimple), this.#room());
        this.#ways.clear();
        const wanted = new Set(all.map(item => item.id));
        this.cy.elements().filter(item => !wanted.has(item.id()) || (item.isNode() && (item.parent().id() ?? '') !== (nodes.find(node => node.id === item.id())?.parent ?? ''))).remove();
        const fresh = all.filter(item => this.cy.getElementById(item.id).empty());
        this.cy.add(fresh.map(({ classes, ...data }) => ({ data, classes })));
      }
      for (const item of all) {
        const { classes, ...data } = item;
        const drawn = this.cy.getElementById(item.id);
        if (drawn.data('label') !== data.label || drawn.data('width') !== data.width) drawn.data({ label: data.label, width: data.width, title: data.title });
        drawn.classes([...classes.split(' '), ...(this.#ways.get(item.id)?.classes ?? (isSimple ? ['straight'] : []))].filter(Boolean));
      }
    });
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.cy.nodes(':childless').positions(node => this.#plan.places.get(node.id()) ?? { x: 0, y: 0 });
      this.#route();
      this.#frame();
    }
    if (!isSimple) this.#label();
  }

  /** How large the picture may become. */
  #room() {
    return { width: this.cy.width() - 2 * margin - 60, height: highest - 2 * margin, scale: readable };
  }

  /** Leads arrows around nodes, and those of control planes around the boxes. */
  #route() {
    const lines = new Map(this.#plan.routes);
    this.cy.edges('.watch').forEach((edge, i) => {
      const [from, box] = [edge.source(), edge.target()], start = from.position();
      // The left side of all boxes is in one line.
      const end = { x: box.position('x') - box.outerWidth() / 2, y: box.position('y') - box.outerHeight() / 2 + 30 + 8 * i }, x = end.x - 16 - i % 6 * 9;
      const begin = { x: start.x - size.width / 2, y: start.y };
      lines.set(edge.id(), { out: { x: -size.width / 2, y: 0 }, into: { x: -box.outerWidth() / 2, y: end.y - box.position('y') }, points: [begin, { x, y: begin.y }, { x, y: end.y }, end] });
    });
    this.cy.batch(() => {
      for (const [id, { out, into, points }] of lines) {
        const [start, stop] = [points[0], points.at(-1)], [x, y] = [stop.x - start.x, stop.y - start.y], length = Math.hypot(x, y);
        const middle = points.slice(1, -1).map(point => [point.x - start.x, point.y - start.y]);
        const edge = this.cy.getElementById(id);
        edge.data({
          out: `${out.x}px ${out.y}px`, into: `${into.x}px ${into.y}px`, dx: 0, dy: 0,
          weights: middle.map(([a, b]) => (a * x + b * y) / length ** 2).join(' '), distances: middle.map(([a, b]) => (b * x - a * y) / length).join(' '),
        });
        this.#ways.set(id, { points, classes: middle.length > 0 ? ['routed', 'cornered'] : ['routed'] });
        edge.addClass(this.#ways.get(id).classes);
      }
    });
  }

  /** Shows all of it, as large as it can be read; the picture gets higher where it has to. */
  #frame() {
    const box = this.cy.elements().boundingBox();
    const zoom = Math.min((this.cy.width() - 2 * margin) / box.w, readable);
    this.cy.container().parentElement.style.minHeight = `${Math.min(highest, Math.ceil(box.h * zoom + 2 * margin))}px`;
    this.cy.resize();
    this.fit();
    if (this.cy.zoom() > 1.15) { this.cy.zoom(1.15); this.cy.center(); }
  }

  #label() {
    const bounds = { includeEdges: false, includeOverlays: false };
    const taken = this.cy.nodes().map(node => node.hasClass('cluster') ? node.boundingBox({ ...bounds, includeNodes: false }) : node.boundingBox({ ...bounds, includeLabels: false }));
    const lines = this.cy.edges('.flow.routed').sort((a, b) => b.hasClass('bad') - a.hasClass('bad') || a.id().localeCompare(b.id())).map(edge => (
      { id: edge.id(), points: this.#ways.get(edge.id()).points, width: widthOf(edge.data('label'), '12px system-ui, sans-serif') + 10, height: edge.data('label').split('\n').length * 14 + 5 }));
    const places = this.#labels.place(lines, taken);
    this.cy.batch(() => {
      for (const [id, { middle, isFree }] of places) {
        const edge = this.cy.getElementById(id), at = edge.midpoint();
        edge.data({ dx: middle.x - at.x, dy: middle.y - at.y }).toggleClass('labelled', isFree);
      }
    });
  }

  select(id) {
    this.cy.elements(':selected').unselect();
    if (id) this.cy.getElementById(id).select();
  }

  zoom(factor) {
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
  }

  fit() {
    this.cy.fit(undefined, margin);
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
