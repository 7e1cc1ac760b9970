import { useAsk } from './ask.js';
import { Badge, Table, moment } from './parts.jsx';

const day = 86400000;

function Ends({ at, now, level }) {
  if (!at) return <>–</>;
  const left = (new Date(at) - new Date(now)) / day;
  const text = left < 0 ? 'expired' : left < 2 ? `in ${Math.round(left * 24)} h` : `in ${Math.round(left)} days`;
  return <><Badge kind={level}>{text}</Badge> <span class="quiet">{moment(at)}</span></>;
}

const short = print => print ? <code title={print}>{print.slice(0, 16)}…</code> : '–';

/* Why one needs something is in its state; what renews it is beside it. */
function Certificates({ caption, rows, now }) {
  return <Table caption={caption} head={['Certificate', 'Kind', 'Cluster', 'State', 'Expires', 'Held by', 'Needed by', 'Renewed by', 'SHA-256']}
    rows={rows.map(one => [one.subject || '–', one.role, one.cluster, one.level === 'ok' ? one.state : <Badge kind={one.level}>{one.state}</Badge>, <Ends at={one.ends} now={now} level={one.level} />,
      one.owner, one.neededBy, one.renewedBy, short(one.fingerprint)])} />;
}

export function CertificatesPage() {
  const { answer: page, busy, error, again } = useAsk('certificates', {});
  if (error) return <p role="alert" class="failure">{error}</p>;
  if (!page) return <p class="quiet" role="status">Asking clusters and proxies…</p>;
  const roots = new Set(page.certificates.filter(one => one.role === 'root').map(one => one.fingerprint));
  const wanting = page.certificates.filter(one => one.level !== 'ok');
  const rest = page.certificates.filter(one => one.level === 'ok');
  return <>
    <div class="bar"><button type="button" onClick={again} disabled={busy}>Read again</button></div>
    {page.notes.map(note => <p class="quiet">{note}</p>)}
    <p class="quiet">{roots.size === 1 ? 'All clusters trust one root.' : `The clusters trust ${roots.size} roots.`}</p>
    {wanting.length > 0 && <><h2>These need something</h2><Certificates caption="Certificates that need something" rows={wanting} now={page.now} /></>}
    <h2>The mesh</h2>
    <Certificates caption="Certificates of the mesh" rows={rest.filter(one => one.role !== 'workload')} now={page.now} />
    <h2>Proxies</h2>
    <Certificates caption="Certificates of proxies" rows={rest.filter(one => one.role === 'workload')} now={page.now} />
  </>;
}
