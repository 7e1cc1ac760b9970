import { useRef, useState } from 'preact/hooks';
import { useAsk } from './ask.js';
import { Choice, Command, Facts, contexts, millis, quote } from './parts.jsx';

const marks = { ok: ['✔', 'ok'], warning: ['!', 'warn'], failed: ['✘', 'bad'], unknown: ['?', 'info'] };
const words = { ok: 'ok', warning: 'warning', failed: 'failed', unknown: 'not known' };

// What is sent besides the path. It is neither taken from the address of the page, which others can write, nor kept there.
const plain = { method: '', headers: '', body: '', token: '' };

/** What the proxy calls a cluster is none of Kubernetes. */
const place = hop => hop === 'cluster' ? 'Envoy cluster' : hop;

/** The same trace as a command; a token is not printed. */
function command(asked, topology) {
  const lines = asked.headers.split('\n').map(line => line.trim()).filter(Boolean);
  return ['isthmus trace', quote(asked.pod), quote(asked.target), `--context=${quote(asked.cluster)}`, asked.method && `-X ${quote(asked.method)}`, ...lines.map(line => `-H ${quote(line)}`),
    asked.body && `-d ${quote(asked.body)}`, asked.token && '--jwt "$TOKEN"', !asked.call && '--no-call'].filter(Boolean).join(' ') + contexts(topology);
}

export function TracePage({ topology, args }) {
  const pods = useAsk('pods', {});
  const [form, setForm] = useState({ cluster: args.cluster ?? '', pod: args.pod ?? '', target: args.target ?? '', call: false, ...plain });
  const bar = useRef();
  const [lacking, setLacking] = useState('');
  const [asked, setAsked] = useState(args.target && args.pod ? form : null);
  const all = pods.answer ?? [];
  const clusters = [...new Set(all.map(pod => pod.cluster))];
  const cluster = form.cluster || clusters[0] || '';
  const callers = [...new Set(all.filter(pod => pod.cluster === cluster && pod.calls).flatMap(pod => [pod.deployment && `deployment/${pod.deployment}.${pod.namespace}`, `${pod.name}.${pod.namespace}`]).filter(Boolean))].sort();
  const set = name => e => setForm({ ...form, [name]: e.currentTarget.value });
  const trace = useAsk('trace', asked, asked !== null);
  const start = makesCall => e => {
    e.preventDefault();
    const next = { ...form, cluster, call: makesCall };
    // Nobody notices the hint of a field that is out of view.
    setLacking(!next.pod ? 'Name the caller: the Pod or the workload that makes the call.' : !next.target ? 'Name what it calls, such as http://orders.shop:8080/health.' : '');
    if (!next.pod || !next.target) return bar.current.querySelector(`[name=${next.pod ? 'target' : 'pod'}]`).focus();
    JSON.stringify(next) === JSON.stringify(asked) ? trace.again() : setAsked(next);
  };
  return <>
    <form class="bar" ref={bar} noValidate onSubmit={start(false)}>
      <Choice label="Caller's cluster" value={cluster} onChange={value => setForm({ ...form, cluster: value })} options={clusters.map(name => [name, name])} />
      <label class="field wide"><span>Caller</span><input name="pod" list="callers" required value={form.pod} onInput={set('pod')} placeholder="deployment/NAME.NAMESPACE" /></label>
      <datalist id="callers">{callers.map(name => <option value={name} />)}</datalist>
      <label class="field wide"><span>Calls</span><input name="target" required value={form.target} onInput={set('target')} placeholder="http://orders.shop:8080/health" /></label>
      <button type="submit" class="primary">Follow</button>
      <button type="button" onClick={start(true)} title="The caller's proxy sends the request, as the application would">Follow and call</button>
      <details class="request"><summary>Request</summary><div class="bar">
        <label class="field"><span>Method</span><input list="methods" value={form.method} onInput={set('method')} placeholder="GET, or POST with a body" /></label>
        <datalist id="methods">{['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map(name => <option value={name} />)}</datalist>
        <label class="field wide"><span>Headers, one a line</span><textarea rows={2} value={form.headers} onInput={set('headers')} placeholder="x-user: ann" /></label>
        <label class="field wide"><span>Body</span><textarea rows={2} value={form.body} onInput={set('body')} /></label>
        <label class="field wide"><span>JSON Web Token</span><input type="password" autocomplete="off" value={form.token} onInput={set('token')} placeholder="sent as bearer token" /></label>
      </div></details>
    </form>
    {lacking && <p role="alert" class="failure">{lacking}</p>}
    {asked === null && <p class="quiet">Name a caller and what it calls, or choose “Trace” at an arrow of the topology. <em>Follow</em> only reads the configuration of the proxies on the way. <em>Follow and call</em> also makes the call.</p>}
    {trace.busy && <p class="quiet" role="status">Following the call…</p>}
    {trace.error && <p role="alert" class="failure">{trace.error}</p>}
    {trace.answer && !trace.busy && <Trace trace={trace.answer} asked={asked} topology={topology} />}
  </>;
}

function Trace({ trace, asked, topology }) {
  const failed = trace.hops.find(hop => hop.status === 'failed');
  const warned = failed ? [] : trace.hops.filter(hop => hop.status === 'warning');
  const found = [...new Set(warned.map(hop => hop.problem ? `${hop.problem.object}${hop.problem.field ? ` ${hop.problem.field}` : ''}: ${hop.problem.message}` : `${place(hop.hop)}: ${hop.summary}`))];
  const [open, setOpen] = useState(warned[0] ?? null);
  const shared = trace.hops.filter(hop => hop.way === 0 && hop.hop !== 'call' && hop.hop !== 'calls');
  const call = trace.hops.filter(hop => hop.hop === 'call' || hop.hop === 'calls');
  const row = hops => <ol class="hops">{hops.map(hop => <li><button type="button" class={`hop ${marks[hop.status][1]}`} aria-expanded={open === hop} onClick={() => setOpen(open === hop ? null : hop)}>
    <span class="mark" aria-hidden="true">{marks[hop.status][0]}</span><strong>{place(hop.hop)}</strong><span class="hidden">: {words[hop.status]}.</span><span class="text">{hop.summary}</span></button></li>)}</ol>;
  return <section aria-label="The path of the call">
    <p role="status" class={`verdict ${failed ? 'bad' : warned.length > 0 ? 'warn' : 'ok'}`}>{failed ? `✘ ${trace.verdict}` : <>
      {warned.length > 0 ? '!' : '✔'} {trace.call ? 'The call gets through.' : 'The call would get through; it was not made.'}{found.length === 1 && ` ${found[0]}.`}</>}</p>
    {found.length > 1 && <ul>{found.map(text => <li>{text}</li>)}</ul>}
    {trace.cause && <Cause problem={trace.cause} kind="bad" />}
    <p class="quiet">{trace.client} in {trace.cluster} → {trace.target}</p>
    {row(shared)}
    {trace.ways.length > 0 && <div class="ways">{trace.ways.map((way, i) => <section class="way"><h2>{way.percent > 0 ? `${way.percent} %: ` : ''}{way.title}</h2>{row(trace.hops.filter(hop => hop.way === i + 1))}</section>)}</div>}
    {call.length > 0 && row(call)}
    {open && <aside class="details" aria-label={`Details of ${open.hop}`} aria-live="polite"><h2>{open.hop}</h2><p>{open.summary}</p>
      <Facts items={(open.facts ?? []).map(fact => [fact.name, fact.value])} />{open.problem && <Cause problem={open.problem} kind={marks[open.status][1]} />}</aside>}
    {trace.addresses?.length > 0 && <section class="addresses" aria-label="The addresses of the name"><h2>The name has {trace.addresses.length + (trace.addresses_not_followed ?? 0)} addresses</h2>
      <p class="quiet">The hops above are those of {trace.address}.{trace.addresses_not_followed > 0 && ` ${trace.addresses_not_followed} more were not followed.`}</p>
      <ul>{trace.addresses.map(one => { const [mark, kind] = marks[!one.succeeds ? 'failed' : one.warnings > 0 ? 'warning' : 'ok'];
        return <li class={kind}><span class="mark" aria-hidden="true">{mark}</span> <strong>{one.address}</strong><span class="hidden">: {one.succeeds ? 'ok' : 'failed'}.</span>
          {one.call && ` ${one.call.status || (one.call.answered ? 'connected' : one.call.detail || 'no answer')} in ${millis(one.call.milliseconds)}`}
          {one.hop && ` fails at: ${place(one.hop)}`}{one.cause && `: ${one.cause.object}: ${one.cause.message} (${one.cause.code})`}</li>; })}</ul></section>}
    {trace.call?.times?.length > 0 && <ul class="times">{trace.call.times.map(time => <li><strong>{millis(time.milliseconds)}</strong> {time.where}: {time.what}</li>)}</ul>}
    <Command text={command(asked, topology)} />
  </section>;
}

function Cause({ problem, kind }) {
  return <div class={`problem ${kind}`}><p><strong>{problem.object}</strong> {problem.field && <code>{problem.field}</code>}</p><p>{problem.message} <span class="quiet">({problem.code})</span></p>
    {problem.remedy && problem.remedy !== problem.command && <p><span class="quiet">Remedy:</span> {problem.remedy}</p>}{problem.command && <Command text={problem.command} />}</div>;
}
