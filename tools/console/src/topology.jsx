import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { call } from './connection.js';
import { Graph, flowDetails, flowKey, flowText } from './graph.js';
import { Badge, Choice, Facts, Table, clock, healths, link, millis, securities } from './parts.jsx';
import { grouped } from './problems.jsx';

const isTroubled = (node, flows) => ['down', 'degraded'].includes(node.health) || flows.some(flow => (flow.from === node.id || flow.to === node.id) && (flow.errors > 0 || flow.denied > 0));

/** What is left after the filters: services that match, and whoever calls them or is called by them. */
function choose(topology, traffic, filter) {
  const flows = (traffic?.flows ?? []).filter(flow => filter.idle || flow.rate > 0 || flow.bytes > 0);
  const all = [...topology.services, ...(traffic?.callers ?? [])];
  const matches = node =>
    (!filter.cluster || node.cluster === filter.cluster) && (!filter.namespace || node.namespace === filter.namespace)
    && (!filter.text || `${node.name}.${node.namespace}`.includes(filter.text.toLowerCase()))
    && (!filter.health || isTroubled(node, flows));
  const chosen = new Set(all.filter(matches).map(node => node.id));
  const shown = flows.filter(flow => chosen.has(flow.from) || chosen.has(flow.to));
  const ends = new Set(shown.flatMap(flow => [flow.from, flow.to]));
  const filtered = filter.cluster || filter.namespace || filter.text || filter.health;
  return {
    clusters: filter.cluster ? topology.clusters.filter(one => one.context === filter.cluster || all.some(node => node.cluster === one.context && ends.has(node.id))) : topology.clusters,
    counted: traffic?.flows.length ?? 0, watches: topology.watches, control: filter.control, isPart: topology.isPart,
    services: all.filter(node => chosen.has(node.id) && (node.kind === 'service' || ends.has(node.id)) || (filtered && ends.has(node.id))), flows: shown,
  };
}

export function TopologyPage({ topology, traffic, problems, viewer }) {
  const [filter, setFilter] = useState({ cluster: '', namespace: '', health: '', text: '', idle: true, control: true });
  const [view, setView] = useState('picture');
  const [selected, setSelected] = useState('');
  const set = name => value => setFilter({ ...filter, [name]: value });
  const model = useMemo(() => topology && choose(topology, traffic, filter), [topology, traffic, filter]);
  if (!topology) return <p class="quiet" role="status">Reading the clusters…</p>;
  const namespaces = [...new Set(topology.services.map(service => service.namespace))].sort();
  const [errors, warnings] = ['error', 'warning'].map(severity => grouped(problems?.rows ?? []).filter(([row]) => row.severity === severity).length);
  const down = new Set(topology.services.filter(node => node.health === 'down').map(node => `${node.namespace}/${node.name}`)).size;
  const silent = Object.keys(traffic?.silent ?? {}).length;
  return <>
    <div class="bar">
      <Choice label="Cluster" value={filter.cluster} onChange={set('cluster')} options={[['', 'all'], ...topology.clusters.map(one => [one.context, one.name])]} />
      <Choice label="Namespace" value={filter.namespace} onChange={set('namespace')} options={[['', 'all'], ...namespaces.map(name => [name, name])]} />
      <Choice label="Health" value={filter.health} onChange={set('health')} options={[['', 'all'], ['troubled', 'with trouble']]} />
      <label class="field"><span>Name</span><input type="search" value={filter.text} onInput={e => set('text')(e.currentTarget.value)} placeholder="service" /></label>
      <label class="check"><input type="checkbox" checked={filter.idle} onChange={e => set('idle')(e.currentTarget.checked)} /> idle calls</label>
      <label class="check"><input type="checkbox" checked={filter.control} onChange={e => set('control')(e.currentTarget.checked)} /> control planes</label>
      <div class="switch" role="group" aria-label="View">
        {['picture', 'list'].map(name => <button type="button" aria-pressed={view === name} onClick={() => setView(name)}>{name === 'picture' ? 'Picture' : 'List'}</button>)}
      </div>
    </div>
    <p class="summary">
      {topology.clusters.length} {topology.clusters.length === 1 ? 'cluster' : 'clusters'}, {topology.services.length} services, {topology.clusters.reduce((sum, one) => sum + one.proxies, 0)} proxies{silent > 0 && <>, <Badge kind="warn">{silent} do not answer</Badge></>}
      {down > 0 && <>; <button type="button" class="plain" onClick={() => set('health')('troubled')}><Badge kind="bad">{down} {down === 1 ? 'service' : 'services'} down</Badge></button></>}
      {errors > 0 ? <>; <a href="#/problems"><Badge kind="bad">{errors} {errors === 1 ? 'error' : 'errors'}</Badge></a></> : problems && down === 0 ? '; no errors' : ''}{warnings > 0 && <>, <a href="#/problems"><Badge kind="warn">{warnings} {warnings === 1 ? 'warning' : 'warnings'}</Badge></a></>} · {topology.isPart ? 'asking the control planes…' : `read at ${clock(topology.read)}`}
    </p>
    <Source topology={topology} traffic={traffic} />
    <Missing topology={topology} silent={traffic?.silent ?? {}} notes={viewer?.notes ?? []} />
    <div class={`stage ${selected ? 'with-details' : ''}`}>
      {view === 'picture' ? <Picture model={model} selected={selected} onSelect={setSelected} /> : <Lists model={model} onSelect={setSelected} />}
      {selected && <Details id={selected} topology={topology} traffic={traffic} onClose={() => setSelected('')} onSelect={setSelected} />}
    </div>
    {view === 'picture' && <Legend />}
  </>;
}

const lengths = { '1m': 'the last minute', '5m': 'the last five minutes' };

/** Where the numbers of the arrows come from. */
function Source({ topology, traffic }) {
  if (!traffic) return null;
  const used = traffic.prometheus.filter(one => one.clusters.length > 0);
  const others = topology.clusters.map(one => one.name).filter(name => !used.some(one => one.clusters.includes(name)));
  return <p class="summary">
    Traffic: {used.map(one => `${lengths[one.window]}, from the Prometheus ${one.name} (${one.clusters.join(', ')}); `)}
    {others.length > 0 && <>the last ten seconds, from the proxies{used.length > 0 && ` (${others.join(', ')})`}</>}
    {traffic.prometheus.filter(one => one.error).map(one => <>; <Badge kind="warn">Prometheus is not used</Badge> {one.name}: {one.error} <span class="quiet">({one.remedy})</span></>)}
  </p>;
}

/** What is not in the picture: what the user may not read, and proxies that do not answer. */
function Missing({ topology, silent, notes }) {
  const withheld = [...notes, ...topology.clusters.flatMap(one => one.withheld.map(line => `${one.context}: ${line}`))];
  const proxies = Object.entries(silent);
  const read = e => {
    e.preventDefault();
    call('namespaces', { names: e.currentTarget.elements.names.value });
  };
  return <>
    {withheld.length > 0 && <section class="withheld" aria-label="What you may not read">
      <p><Badge kind="warn">You may not read everything.</Badge> What follows is missing here:</p>
      <ul>{withheld.map(line => <li>{line}</li>)}</ul>
      {topology.clusters.some(one => one.withheld.length > 0) && <form onSubmit={read}>
        <label class="field"><span>Other namespaces that you may read</span><input name="names" placeholder="shop, payments" /></label> <button type="submit">Read them</button>
      </form>}
    </section>}
    {proxies.length > 0 && <details class="withheld"><summary>{proxies.length} {proxies.length === 1 ? 'proxy does' : 'proxies do'} not answer: the traffic that only they count is missing</summary>
      <ul>{proxies.slice(0, 20).map(([name, why]) => <li>{name}: {why}</li>)}{proxies.length > 20 && <li>and {proxies.length - 20} more</li>}</ul></details>}
  </>;
}

function Picture({ model, selected, onSelect }) {
  const [place, graph] = [useRef(), useRef()];
  useEffect(() => {
    graph.current = new Graph(place.current, onSelect, model);
    return () => graph.current.destroy();
  }, []);
  useEffect(() => graph.current.draw(model), [model]);
  useEffect(() => graph.current.select(selected), [selected]);
  const ids = [...model.services.map(node => node.id), ...model.flows.map(flowKey)];
  const keys = e => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (step && ids.length > 0) onSelect(ids[(ids.indexOf(selected) + step + ids.length + (selected || step > 0 ? 0 : 1)) % ids.length]);
    else if (e.key === 'Escape') onSelect('');
    else if (e.key === '+' || e.key === '=') graph.current.zoom(1.25);
    else if (e.key === '-') graph.current.zoom(0.8);
    else if (e.key === '0') graph.current.fit();
    else return;
    e.preventDefault();
  };
  return <div class="picture">
    <div class="canvas" ref={place} tabIndex={0} role="application" aria-roledescription="graph" onKeyDown={keys}
      aria-label={`Services and calls: ${model.services.length} nodes, ${model.flows.length} arrows. Arrow keys select one, plus and minus zoom. The list has the same as a table.`} />
    <div class="zoom" role="group" aria-label="Zoom">
      <button type="button" onClick={() => graph.current.zoom(1.25)} aria-label="Zoom in">+</button>
      <button type="button" onClick={() => graph.current.zoom(0.8)} aria-label="Zoom out">−</button>
      <button type="button" onClick={() => graph.current.fit()} aria-label="Show everything">⤢</button>
    </div>
  </div>;
}

function Legend() {
  return <ul class="legend" aria-label="Legend">
    <li><i class="line ok" />mutual TLS, direct</li><li><i class="line ok dashed" />through a gateway</li><li><i class="line ok dotted" />way not known</li><li><i class="line plain" />plain text</li><li><i class="line info" />security not known</li>
    <li><i class="line warn" />some errors or denials</li><li><i class="line bad" />5 % errors or more</li><li><i class="line idle" />idle</li><li><i class="line watch" />control plane watches cluster</li>
  </ul>;
}

function Lists({ model, onSelect }) {
  const button = (id, text) => <button type="button" class="plain" onClick={() => onSelect(id)}>{text}</button>;
  return <div class="lists">
    <h2>Clusters</h2>
    <Table caption="Clusters" head={['Cluster', 'Network', 'Control planes', 'East-west gateways', 'Watches', 'Proxies']} rows={model.clusters.map(one => [
      <>{one.name}{one.error && <Badge kind="bad">{one.error}</Badge>}</>, one.network || 'the only one',
      one.controlPlanes.map(plane => `${plane.namespace}: ${plane.ready} of ${plane.all} ready${plane.serves === one.name ? '' : `, for ${plane.serves}`}`).join('; ') || (model.isPart ? 'not asked yet' : 'none here'),
      one.gateways.map(gateway => `${gateway.name} at ${gateway.addresses.join(', ') || 'no address'}, ${gateway.ready} ready`).join('; ') || (model.isPart ? 'not asked yet' : 'none'),
      model.watches.filter(watch => watch.from === one.context).map(watch => `${watch.to}: ${watch.status}`).join('; ') || '–', one.proxies])} />
    <h2>Calls</h2>
    <Table caption="Calls" empty={model.counted > 0 ? 'No call matches the filter.' : 'No proxy has counted any call yet.'} head={['From', 'To', 'Traffic', 'p95', 'Security', 'Way']}
      rows={model.flows.map(flow => [button(flowKey(flow), flow.from), flow.to, flowText(flow), millis(flow.p95), securities[flow.security], flow.way === 'unknown' ? 'not known' : flow.way])} />
    <h2>Services</h2>
    <Table caption="Services" empty="No service matches the filter." head={['Service', 'Cluster', 'Health', 'Endpoints', 'Pods with a proxy']}
      rows={model.services.filter(node => node.kind === 'service').map(node => [button(node.id, `${node.name}.${node.namespace}`), node.cluster, <Health value={node.health} />, `${node.ready} of ${node.all} ready`, node.sidecars])} />
  </div>;
}

export const Health = ({ value }) => <Badge kind={{ ok: 'ok', degraded: 'warn', down: 'bad' }[value] ?? 'info'}>{healths[value]}</Badge>;

/** The trace of a call like those of an arrow. */
function traceOf(flow, topology, traffic) {
  const all = [...topology.services, ...(traffic?.callers ?? [])];
  const [from, to] = [flow.from, flow.to].map(id => all.find(one => one.id === id));
  return from?.caller && to && link('trace', { cluster: from.cluster, pod: from.caller, target: `${flow.protocol === 'tcp' ? 'tcp' : 'http'}://${to.name}.${to.namespace}` });
}

function Details({ id, topology, traffic, onClose, onSelect }) {
  const flows = traffic?.flows ?? [];
  const flow = flows.find(one => flowKey(one) === id);
  const node = [...topology.services, ...(traffic?.callers ?? [])].find(one => one.id === id);
  const cluster = topology.clusters.find(one => one.context === id || id.startsWith(`${one.context} `));
  const watch = topology.watches.find(one => `watch ${one.from} ${one.to}` === id);
  const arrows = (title, list, end) => list.length > 0 && <><h3>{title}</h3><ul class="arrows">{list.map(one => <li><button type="button" class="plain" onClick={() => onSelect(flowKey(one))}>{one[end]}</button> <span class="quiet">{flowText(one)}</span></li>)}</ul></>;
  return <aside class="details" aria-label="Details" aria-live="polite">
    <button type="button" class="close" onClick={onClose} aria-label="Close the details">×</button>
    {flow ? <>
      <h2>{flow.from.split('/').at(-1)} → {flow.to.split('/').at(-1)}</h2>
      <Facts items={[['From', flow.from], ['To', flow.to], ...flowDetails(flow)]} />
      {traceOf(flow, topology, traffic) && <p><a href={traceOf(flow, topology, traffic)}>Trace this call</a></p>}
    </> : node ? <>
      <h2>{node.name}</h2>
      <Facts items={[['Cluster', node.cluster], ['Namespace', node.namespace], ['Health', node.kind === 'service' ? <Health value={node.health} /> : ''],
        ['Endpoints', node.kind === 'service' ? `${node.ready} of ${node.all} ready` : ''], ['Pods with a proxy', node.kind === 'service' ? node.sidecars : ''], ['Proxy', node.otherProxies?.length > 0 ? <><Badge kind="info">not Isthmus</Badge> {node.otherProxies.join(', ')}</> : '']]} />
      {node.kind === 'service' && <p><a href={link('service', { namespace: node.namespace, name: node.name })}>Open the service</a></p>}
      {arrows('Called by', flows.filter(one => one.to === id), 'from')}
      {arrows('Calls', flows.filter(one => one.from === id), 'to')}
    </> : watch ? <>
      <h2>{watch.from} watches {watch.to}</h2>
      <Facts items={[['Status', watch.status], ['Message', watch.message]]} />
    </> : cluster ? <>
      <h2>{cluster.name}</h2>
      <Facts items={[['Context', cluster.context], ['Network', cluster.network], ['Error', cluster.error], ['Proxies', cluster.proxies],
        ...cluster.controlPlanes.map(plane => ['Control plane', `${plane.namespace}: ${plane.ready} of ${plane.all} ready, for ${plane.serves}`]),
        ...cluster.gateways.map(gateway => ['Gateway', `${gateway.name} of ${gateway.network} at ${gateway.addresses.join(', ') || 'no address'}: ${gateway.ready} ready`])]} />
    </> : <p class="quiet">This is no longer there.</p>}
  </aside>;
}
