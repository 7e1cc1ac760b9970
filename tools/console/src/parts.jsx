import { useState } from 'preact/hooks';

export const rate = value => value === 0 ? '0/s' : value < 0.1 ? '< 0.1/s' : value < 10 ? `${value.toFixed(1)}/s` : `${Math.round(value)}/s`;
export const bytes = value => value < 1000 ? `${Math.round(value)} B/s` : value < 1e6 ? `${(value / 1e3).toFixed(1)} kB/s` : `${(value / 1e6).toFixed(1)} MB/s`;
export const percent = share => share === 0 ? '0 %' : share < 0.01 ? '< 1 %' : `${Math.round(share * 100)} %`;
export const millis = value => value == null ? '–' : value < 10 ? `${value.toFixed(1)} ms` : value < 10000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
export const clock = text => text ? new Date(text).toLocaleTimeString() : '–';

export const securities = { mtls: 'mutual TLS', plain: 'plain text', unknown: 'not known' };
export const healths = { ok: 'healthy', degraded: 'degraded', down: 'down', empty: 'only in other clusters', none: 'no endpoints of its own' };

export const link = (page, args) => `#/${page}?${new URLSearchParams(args)}`;

export function Badge({ kind, children }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

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

/** A table that scrolls sideways in itself where the window is narrow. */
export function Table({ caption, head, rows, empty }) {
  if (rows.length === 0) return <p class="quiet">{empty ?? 'Nothing here.'}</p>;
  return <div class="scroll" tabIndex={0} role="region" aria-label={caption}><table>
    <caption class="hidden">{caption}</caption>
    <thead><tr>{head.map(text => <th scope="col">{text}</th>)}</tr></thead>
    <tbody>{rows.map(cells => <tr>{cells.map((cell, i) => i === 0 ? <th scope="row">{cell}</th> : <td>{cell}</td>)}</tr>)}</tbody>
  </table></div>;
}

export function Choice({ label, value, options, onChange }) {
  return <label class="field"><span>{label}</span>
    <select value={value} onChange={e => onChange(e.currentTarget.value)}>{options.map(([key, text]) => <option value={key}>{text}</option>)}</select></label>;
}

export function Facts({ items }) {
  return <dl class="facts">{items.filter(([, value]) => value !== '' && value != null).map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}</dl>;
}
