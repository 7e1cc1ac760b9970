import { useState } from 'preact/hooks';
import { useAsk } from './ask.js';
import { Badge, Choice, Command, Table, link } from './parts.jsx';

const parts = ['clusters', 'listeners', 'routes', 'endpoints', 'secrets'];
const most = 300;

export function ConfigurationPage({ args }) {
  const pods = useAsk('pods', {});
  const proxies = (pods.answer ?? []).filter(pod => pod.proxy);
  const key = pod => `${pod.cluster}/${pod.namespace}/${pod.name}`;
  const chosen = proxies.find(pod => key(pod) === args.pod);
  const part = parts.includes(args.part) ? args.part : 'clusters';
  const page = useAsk('configuration', chosen && { cluster: chosen.cluster, namespace: chosen.namespace, pod: chosen.name, part }, Boolean(chosen));
  const [text, setText] = useState('');
  const go = next => { location.hash = link('configuration', { pod: args.pod ?? '', part, ...next }); };
  const rows = (page.answer?.rows ?? []).filter(row => row.some(cell => cell.toLowerCase().includes(text.toLowerCase())));
  return <>
    <div class="bar">
      <label class="field wide"><span>Proxy</span><select value={args.pod ?? ''} onChange={e => go({ pod: e.currentTarget.value })}><option value="" disabled>choose one</option>{proxies.map(pod => <option value={key(pod)}>{key(pod)}</option>)}</select></label>
      <Choice label="Part" value={part} onChange={value => go({ part: value })} options={parts.map(name => [name, name])} />
      <label class="field"><span>Filter</span><input type="search" value={text} onInput={e => setText(e.currentTarget.value)} /></label>
    </div>
    {!args.pod && <p class="quiet">Choose a proxy to read its configuration.</p>}
    {args.pod && pods.answer && !chosen && <p role="alert" class="failure">{args.pod} is gone, or has no proxy.</p>}
    {chosen && (chosen.otherProxy || page.answer?.program) && <p><Badge kind="info">not Isthmus</Badge> This proxy is {page.answer?.program || chosen.otherProxy}. It reports its configuration; traces follow it, and make no call from it.</p>}
    {page.busy && <p class="quiet" role="status">Asking the proxy…</p>}
    {page.error && <p role="alert" class="failure">{page.error}</p>}
    {page.answer && !page.busy && <>
      <p class="summary">{rows.length} of {page.answer.rows.length} rows{rows.length > most && `; the first ${most} are shown`}</p>
      <Table caption={part} head={page.answer.head} rows={rows.slice(0, most)} />
      <details><summary>All of it, as JSON</summary><pre tabIndex={0}>{page.answer.json}</pre></details>
      <Command text={`isthmus proxy-config ${part} ${chosen.name}.${chosen.namespace} --context=${chosen.cluster}`} />
    </>}
  </>;
}
