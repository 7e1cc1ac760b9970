import { useAsk } from './ask.js';
import { Badge, Table } from './parts.jsx';

const day = 86400000;

function Ends({ at, now, soon }) {
  if (!at) return <>–</>;
  const left = (new Date(at) - new Date(now)) / day;
  const text = left < 0 ? 'expired' : left < 2 ? `in ${Math.round(left * 24)} h` : `in ${Math.round(left)} days`;
  return <><Badge kind={left < 0 ? 'bad' : left < soon ? 'warn' : 'ok'}>{text}</Badge> <span class="quiet">{new Date(at).toLocaleString()}</span></>;
}

const short = print => <code title={print}>{print.slice(0, 16)}…</code>;

export function CertificatesPage() {
  const { answer: page, busy, error, again } = useAsk('certificates', {});
  if (error) return <p role="alert" class="failure">{error}</p>;
  if (!page) return <p class="quiet" role="status">Asking clusters and proxies…</p>;
  const roots = new Set(page.authorities.filter(one => one.role === 'root').map(one => one.fingerprint));
  return <>
    <div class="bar"><button type="button" onClick={again} disabled={busy}>Read again</button></div>
    {page.notes.map(note => <p class="quiet">{note}</p>)}
    <h2>Roots and intermediates</h2>
    <p class="quiet">{roots.size === 1 ? 'All clusters trust one root.' : `The clusters trust ${roots.size} roots.`}</p>
    <Table caption="Roots and intermediates" head={['Subject', 'Role', 'Cluster', 'Expires', 'SHA-256', 'From']}
      rows={page.authorities.map(one => [one.subject, one.role, one.cluster, <Ends at={one.ends} now={page.now} soon={60} />, short(one.fingerprint), one.from])} />
    <h2>Proxies</h2>
    <Table caption="Certificates of proxies" head={['Identity', 'Pod', 'Cluster', 'Expires', 'Root']}
      rows={page.proxies.map(one => [one.identity || <Badge kind="warn">{one.error}</Badge>, `${one.namespace}/${one.pod}`, one.cluster, <Ends at={one.ends} now={page.now} soon={0.1} />,
        one.root ? <>{short(one.root)}{!roots.has(one.root) && <> <Badge kind="bad">not a root of the clusters</Badge></>}</> : '–'])} />
  </>;
}
