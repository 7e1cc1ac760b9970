import { useState } from 'preact/hooks';
import { Badge, Choice, Command, clock } from './parts.jsx';

const kinds = { error: 'bad', warning: 'warn', info: 'info' };

export function ProblemsPage({ problems, onRefresh }) {
  const [filter, setFilter] = useState({ severity: '', cluster: '' });
  if (!problems) return <p class="quiet" role="status">Checking the clusters…</p>;
  const rows = problems.rows.filter(row => (!filter.severity || row.severity === filter.severity) && (!filter.cluster || row.cluster === filter.cluster));
  const clusters = [...new Set(problems.rows.map(row => row.cluster))].sort();
  return <>
    <div class="bar">
      <Choice label="Severity" value={filter.severity} onChange={severity => setFilter({ ...filter, severity })} options={[['', 'all'], ['error', 'errors'], ['warning', 'warnings'], ['info', 'information']]} />
      <Choice label="Cluster" value={filter.cluster} onChange={cluster => setFilter({ ...filter, cluster })} options={[['', 'all'], ...clusters.map(name => [name, name])]} />
      <button type="button" onClick={onRefresh}>Check again</button>
    </div>
    <p class="summary" role="status">
      {problems.checks} checks at {clock(problems.verified)}; objects analyzed {problems.analyzed ? `at ${clock(problems.analyzed)}` : 'soon'}.
      {' '}{problems.rows.length === 0 && problems.unverified.length === 0 ? `${problems.meshes > 1 ? `The clusters form ${problems.meshes} meshes` : 'The clusters form one mesh'}, and no check fails. If a call is slow or fails nevertheless, select its arrow in Topology, and trace it.` : ''}
    </p>
    {problems.unverified.length > 0 && <section class="withheld" aria-label="What you may not verify"><p><Badge kind="warn">Not everything was checked.</Badge> You may not read what the checks need:</p><ul>{problems.unverified.map(line => <li>{line}</li>)}</ul></section>}
    <ul class="problems" aria-label="Problems">{rows.map(row => <Problem row={row} />)}</ul>
  </>;
}

/** One finding: what is wrong, what to do, and the command to type. */
export function Problem({ row }) {
  return <li class={`problem ${kinds[row.severity]}`}>
    <div class="title"><Badge kind={kinds[row.severity]}>{row.severity}</Badge> <strong>{row.problem.object}</strong> {row.problem.path && <code>{row.problem.path}</code>}</div>
    <p>{row.problem.message}</p>
    {row.problem.remedy && row.problem.remedy !== row.command && <p><span class="quiet">Remedy:</span> {row.problem.remedy}</p>}
    {row.command && <Command text={row.command} />}
    {row.missing && <Command text={row.missing} />}
    <p class="quiet small">{row.problem.code} · {row.cluster} · found by <code>isthmus {row.foundBy}</code></p>
  </li>;
}
