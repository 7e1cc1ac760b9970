import { useAsk } from './ask.js';
import { Problem, grouped } from './problems.jsx';
import { Badge, Table, link } from './parts.jsx';

export function ServicePage({ topology, args }) {
  const wanted = Boolean(args.name);
  const page = useAsk('service', { namespace: args.namespace, name: args.name }, wanted);
  const names = [...new Map((topology?.services ?? []).map(one => [`${one.name}.${one.namespace}`, one])).entries()].sort(([a], [b]) => a.localeCompare(b));
  return <>
    <div class="bar">
      <label class="field wide"><span>Service</span><select value={wanted ? `${args.name}.${args.namespace}` : ''} onChange={e => { const one = names.find(([key]) => key === e.currentTarget.value)?.[1]; if (one) location.hash = link('service', { namespace: one.namespace, name: one.name }); }}>
        <option value="" disabled>choose one</option>{names.map(([key]) => <option value={key}>{key}</option>)}</select></label>
      {wanted && <button type="button" onClick={page.again}>Read again</button>}
    </div>
    {!wanted && <p class="quiet">Choose a service here or in the topology.</p>}
    {page.busy && !page.answer && <p class="quiet" role="status">Asking the clusters…</p>}
    {page.error && <p role="alert" class="failure">{page.error}</p>}
    {page.answer && <Service page={page.answer} />}
  </>;
}

function Service({ page }) {
  const hosts = `${page.name}.${page.namespace}`;
  return <>
    <h2>Defined in</h2>
    <Table caption="Where the Service is defined" head={['Cluster', 'Type', 'Address', 'Ports', 'Selector']} rows={page.places.map(one => [one.cluster, one.type, one.clusterIp || '–', one.ports.join(', '), one.selector || 'none'])} />
    <h2>Endpoints</h2>
    <p class="quiet">What each cluster has, and what the control plane of each cluster knows of it.</p>
    <Table caption="Endpoints" empty="No cluster has an endpoint." head={['Address', 'Cluster', 'Network', 'Pod', 'Ready', 'Zone', ...page.knowing.map(name => `Known in ${name}`)]}
      rows={page.endpoints.map(one => [one.address, one.cluster, one.network || '–', <>{one.pod || '–'}{one.pod && !one.hasProxy && <> <Badge kind="warn">no proxy</Badge></>}{one.otherProxy && <> <Badge kind="info">not Isthmus: {one.otherProxy}</Badge></>}</>,
        one.isReady ? <Badge kind="ok">ready</Badge> : <Badge kind="bad">not ready</Badge>, one.zone || '–',
        ...page.knowing.map(name => one.known[name] || (one.known[name] === '' ? <Badge kind={one.isReady ? 'bad' : 'info'}>not known</Badge> : 'did not answer'))])} />
    <h2>Routes and policies</h2>
    {page.withheld.length > 0 && <section class="withheld" aria-label="Rules that you may not read"><p><Badge kind="warn">You may not read all rules.</Badge> Those of these kinds are missing:</p><ul>{page.withheld.map(line => <li>{line}</li>)}</ul></section>}
    <Table caption="Routes and policies" empty={page.withheld.length > 0 ? 'None that you may read.' : 'None: every Pod of the mesh may call it, by the defaults.'} head={['Object', 'Cluster', 'Effect', 'Conflict', 'Definition']}
      rows={page.rules.map(one => [`${one.kind} ${one.namespace}/${one.name}`, one.cluster, one.effect, one.conflict ? <Badge kind="warn">{one.conflict}</Badge> : 'none', <details><summary>YAML</summary><pre tabIndex={0}>{one.yaml}</pre></details>])} />
    <h2>Problems</h2>
    {page.problems.length === 0 ? <p class="quiet">None that name {hosts}.</p> : <ul class="problems">{grouped(page.problems).map(rows => <Problem rows={rows} />)}</ul>}
    {page.around.length > 0 && <><h3>Of its clusters</h3><p class="quiet">They may stop its calls, too.</p><ul class="problems" aria-label="Problems of its clusters">{grouped(page.around).map(rows => <Problem rows={rows} />)}</ul></>}
    <p><a href={link('trace', { target: `http://${hosts}` })}>Trace a call of {hosts}</a></p>
  </>;
}
