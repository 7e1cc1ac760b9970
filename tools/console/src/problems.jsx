import { useState } from 'preact/hooks';
import { Badge, Choice, Command, clock, moment, percent, rate } from './parts.jsx';

const kinds = { error: 'bad', warning: 'warn', info: 'info' };

/** The name of an object without that of its cluster. */
const bare = row => row.problem.object.replace(` in ${row.cluster}`, '');

/** Rows that say the same of one object in several clusters are one problem. */
export function grouped(rows) {
  const groups = new Map(), keyOf = (row, ...more) => JSON.stringify([row.severity, row.problem.code, bare(row), row.problem.path, ...more]);
  const add = (key, row) => groups.has(key) ? groups.get(key).push(row) : groups.set(key, [row]);
  const seen = new Map();
  for (const row of rows) seen.set(keyOf(row, row.cluster), (seen.get(keyOf(row, row.cluster)) ?? 0) + 1);
  // An object with several problems of one code has an entry for each.
  const several = new Set(rows.filter(row => seen.get(keyOf(row, row.cluster)) > 1).map(row => keyOf(row)));
  for (const row of rows) add(several.has(keyOf(row)) ? keyOf(row, row.problem.message) : keyOf(row), row);
  return [...groups.values()];
}

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
    <ul class="problems" aria-label="Problems">{grouped(rows).map(group => <Problem rows={group} />)}</ul>
  </>;
}

/** One finding: what is wrong, since when, for which calls, what to do, and the command to type. */
export function Problem({ rows }) {
  const [row] = rows, clusters = [...new Set(rows.map(one => one.cluster))].sort(), messages = [...new Set(rows.map(one => one.problem.message))];
  const failing = [...new Map(rows.flatMap(one => one.failing ?? []).map(call => [`${call.from} ${call.to}`, call])).values()];
  const since = rows.map(one => one.since).filter(Boolean).sort()[0];
  const remedies = [...new Set(rows.filter(one => one.problem.remedy && one.problem.remedy !== one.command).map(one => one.problem.remedy))];
  return <li class={`problem ${kinds[row.severity]}`}>
    <div class="title"><Badge kind={kinds[row.severity]}>{row.severity}</Badge> <strong>{bare(row)}</strong> {row.problem.path && <code>{row.problem.path}</code>} <span class="quiet">in {clusters.join(', ')}</span></div>
    {messages.length === 1 ? <p>{messages[0]}</p> : rows.map(one => <p>{one.cluster}: {one.problem.message}</p>)}
    {failing.length > 0 && <p><Badge kind="bad">calls fail</Badge> {failing.map(call => `${call.from} → ${call.to}: ${rate(call.rate)}, ${percent(call.errors)} errors`).join('; ')}</p>}
    {remedies.map(remedy => <p><span class="quiet">Remedy:</span> {remedy}</p>)}
    {rows.map(one => <>{one.command && <Command text={one.command} />}{one.missing && <Command text={one.missing} />}</>)}
    <p class="quiet small">{row.problem.code} · {row.foundBy === 'console' ? 'found in the traffic' : <>found by <code>isthmus {row.foundBy}</code></>}{since && ` · since ${moment(since)}${rows.some(one => one.isOlder) ? ', or before' : ''}`}</p>
  </li>;
}
