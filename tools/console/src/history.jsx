import { useEffect, useRef, useState } from 'preact/hooks';
import { useAsk } from './ask.js';
import { Badge, Choice, Command, Facts, clock, contexts, link, moment, quote } from './parts.jsx';

const spans = [['15m', 'the last 15 minutes', 900], ['1h', 'the last hour', 3600], ['6h', 'the last 6 hours', 21600], ['24h', 'the last day', 86400]];
const kinds = { created: 'ok', joined: 'ok', regained: 'ok', changed: 'info', deleted: 'warn', left: 'warn', invalid: 'bad', lost: 'bad' };
const most = 200;

const ago = (text, now) => {
  const seconds = Math.max(0, Math.round((now - new Date(text)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min ago`;
};

export function HistoryPage({ topology, args }) {
  const span = spans.find(([key]) => key === args.since) ?? spans[1];
  const [host, setHost] = useState(args.host ?? '');
  const page = useAsk('history', { host: args.host ?? '', since: span[0] });
  const again = useRef();
  again.current = page.again;
  useEffect(() => {
    const timer = setInterval(() => again.current(), 10000);
    return () => clearInterval(timer);
  }, []);
  const go = next => { location.hash = link('history', { host: args.host ?? '', since: span[0], cluster: args.cluster ?? '', ...next }); };
  const all = page.answer?.changes ?? [];
  const clusters = [...new Set(all.map(one => one.cluster).filter(Boolean))].sort();
  const changes = all.filter(one => !args.cluster || one.cluster === args.cluster || !one.cluster).reverse();
  const names = [...new Set((topology?.services ?? []).map(one => `${one.name}.${one.namespace}`))].sort();
  return <>
    <form class="bar" onSubmit={e => { e.preventDefault(); go({ host: host.trim() }); }}>
      <label class="field wide"><span>Host</span><input type="search" value={host} list="hosts" onInput={e => setHost(e.currentTarget.value)} placeholder="all; or NAME.NAMESPACE" /></label>
      <datalist id="hosts">{names.map(name => <option value={name} />)}</datalist>
      <Choice label="Time" value={span[0]} onChange={since => go({ since })} options={spans} />
      <Choice label="Cluster" value={args.cluster ?? ''} onChange={cluster => go({ cluster })} options={[['', 'all'], ...[...new Set([...clusters, args.cluster].filter(Boolean))].map(name => [name, name])]} />
      <button type="submit">Show</button>
    </form>
    {page.error && <p role="alert" class="failure">{page.error}</p>}
    {!page.answer && page.busy && <p class="quiet" role="status">Asking the control planes…</p>}
    {page.answer && <>
      <p class="summary">{changes.length === 0 ? 'Nothing changed' : `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`} in {span[1]}{args.host && ` that ${changes.length === 1 ? 'concerns' : 'concern'} ${args.host}`}{changes.length > most && `; the latest ${most} are shown`} {page.answer.ofProbes > 0 && ` · ${page.answer.ofProbes} of probes are left out`} · read at {clock(page.answer.now)}</p>
      {page.answer.unknown.map(text => <p role="alert" class="failure">{text}</p>)}
      <TimeLine changes={changes} now={new Date(page.answer.now)} seconds={span[2]} title={span[1]} />
      <ol class="changes" aria-label="Changes, the latest first">{changes.slice(0, most).map(change => <Change key={`${change.object} ${change.cluster} ${change.first} ${change.verb}`} change={change} now={new Date(page.answer.now)} />)}</ol>
      <p class="quiet small">{page.answer.controlPlanes.map(plane => `${plane.istiod} in ${plane.context} ${plane.since ? `remembers changes since ${moment(plane.since)}${plane.restarted ? `, those before ${moment(plane.restarted)} from an earlier Pod` : ''}` : 'is not ready, and remembers nothing yet'}${plane.forgotten > 0 ? `; it forgot the ${plane.forgotten} oldest` : ''}.`).join(' ')}</p>
      <Command text={`isthmus history ${args.host ? `${quote(args.host)} ` : ''}--since ${span[0]}${contexts(topology)}`} />
    </>}
  </>;
}

/** When the changes happened, each as a mark. The list below says the same in words. */
function TimeLine({ changes, now, seconds, title }) {
  const width = 1000, at = text => width - Math.min(width, Math.max(0, (now - new Date(text)) / 1000 / seconds * width));
  return <svg class="timeline" viewBox={`0 0 ${width} 40`} preserveAspectRatio="none" role="img" aria-label={`${changes.length} changes in ${title}, from left to right`}>
    <line x1="0" y1="20" x2={width} y2="20" />
    {[...changes].reverse().map(change => <rect class={kinds[change.verb] ?? 'info'} x={Math.max(0, at(change.first) - 2)} y="8" width={Math.max(4, at(change.last) - at(change.first))} height="24" rx="2" />)}
  </svg>;
}

function Change({ change, now }) {
  const [isOpen, setOpen] = useState(false);
  const who = [change.fieldManager, change.user && `user ${change.user}${change.userProven ? '' : ' (not proven)'}`].filter(Boolean).join(', ');
  return <li class={`change ${kinds[change.verb] ?? 'info'}`}>
    <button type="button" class="head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
      <time dateTime={change.last} title={moment(change.last)}>{ago(change.last, now)}{change.count > 1 && ` (× ${change.count})`}</time>
      <span><Badge kind={kinds[change.verb] ?? 'info'}>{change.verb}</Badge> <strong>{change.object}</strong>{change.cluster && <span class="quiet"> in {change.cluster}</span>}</span>
      <span class="quiet">{who && `by ${who}. `}{change.effect && `Effect: ${change.effect}`}</span>
    </button>
    {isOpen && <div class="more">
      <Facts items={[['Time', change.count > 1 ? `${moment(change.first)} – ${moment(change.last)}` : moment(change.last)],
        ['Field manager', change.fieldManager ?? 'not known'], ['Fields', change.fields?.join(', ')], ['Cause', change.cause], ['User', change.user ? `${change.user}${change.userProven ? '' : ' (not proven: the API server has no credentials for the webhook)'}` : 'not known: no webhook of the mesh saw the write'], ['Concerns', change.concerns],
        ['Effect', change.effect || 'not known'], ...(change.resources ?? []).map(type => [type.type, `at ${type.proxies} ${type.proxies === 1 ? 'proxy' : 'proxies'}${type.names.length > 0 ? `: ${type.names.join(', ')}` : ''}${type.names.length > 0 && type.count > type.names.length ? ` and ${type.count - type.names.length} more` : ''}`]),
        ['Seen by', change.istiods.join(', ')]]} />
    </div>}
  </li>;
}
