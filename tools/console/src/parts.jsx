import { useState } from 'preact/hooks';

export const rate = value => value === 0 ? '0/s' : value < 0.1 ? '< 0.1/s' : value < 10 ? `${value.toFixed(1)}/s` : `${Math.round(value)}/s`;
export const bytes = value => value < 1000 ? `${Math.round(value)} B/s` : value < 1e6 ? `${(value / 1e3).toFixed(1)} kB/s` : `${(value / 1e6).toFixed(1)} MB/s`;
export const percent = share => share === 0 ? '0 %' : share < 0.01 ? '< 1 %' : `${Math.round(share * 100)} %`;
export const millis = value => value == null ? '–' : value < 10 ? `${value.toFixed(1)} ms` : value < 10000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;

/* Times are those of the command line and of logs, unless the viewer prefers the time of the place. */
let isLocal = localStorage.getItem('times') === 'local';
export const timesAreLocal = () => isLocal;
export const showTimes = local => { isLocal = local; localStorage.setItem('times', local ? 'local' : 'UTC'); };

const formats = new Map();
function format(text, options) {
  const key = `${isLocal} ${Object.keys(options)}`;
  // This language writes dates as ISO 8601 does.
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('sv-SE', { ...options, hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: isLocal ? undefined : 'UTC' }));
  const zone = isLocal ? new Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(new Date(text)).find(part => part.type === 'timeZoneName').value : 'UTC';
  return `${formats.get(key).format(new Date(text))} ${zone}`;
}

export const clock = text => text ? format(text, {}) : '–';
export const moment = text => text ? format(text, { year: 'numeric', month: '2-digit', day: '2-digit' }) : '–';

export const securities = { mtls: 'mutual TLS', plain: 'plain text', unknown: 'not known' };
export const healths = { ok: 'healthy', degraded: 'degraded', down: 'down', empty: 'only in other clusters', none: 'no endpoints of its own' };

export const link = (page, args) => `#/${page}?${new URLSearchParams(args)}`;

export function Badge({ kind, children }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** A word of a command, as a shell takes it. */
export const quote = text => /^[\w.:/@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

/** The option that makes a command ask the clusters of this console, and no others of the kubeconfig. */
export const contexts = topology => topology ? ` --contexts=${quote(topology.clusters.map(one => one.context).join(','))}` : '';

/** A command to type, with a button that copies it. */
export function Command({ text }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return <div class="command"><code tabIndex={0}>{text}</code><button type="button" onClick={copy} aria-label={`Copy the command ${text.split('\n')[0]}`}>{done ? 'Copied' : 'Copy'}</button></div>;
}

/** A table. Where the window is narrow, each row is a block with a line for each cell; the roles say that it still is a table. */
export function Table({ caption, head, rows, empty }) {
  if (rows.length === 0) return <p class="quiet">{empty ?? 'Nothing here.'}</p>;
  return <div class="scroll" tabIndex={0} role="region" aria-label={caption}><table role="table">
    <caption class="hidden">{caption}</caption>
    <thead role="rowgroup"><tr role="row">{head.map(text => <th scope="col" role="columnheader">{text}</th>)}</tr></thead>
    <tbody role="rowgroup">{rows.map(cells => <tr role="row">{cells.map((cell, i) => i === 0 ? <th scope="row" role="rowheader">{cell}</th> : <td role="cell" data-head={head[i]}>{cell}</td>)}</tr>)}</tbody>
  </table></div>;
}

export function Choice({ label, value, options, onChange }) {
  return <label class="field"><span>{label}</span>
    <select value={value} onChange={e => onChange(e.currentTarget.value)}>{options.map(([key, text]) => <option value={key}>{text}</option>)}</select></label>;
}

export function Facts({ items }) {
  return <dl class="facts">{items.filter(([, value]) => value !== '' && value != null).map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}</dl>;
}
