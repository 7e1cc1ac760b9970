import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { begin, call, enter, leave, listen } from './connection.js';
import { CertificatesPage } from './certificates.jsx';
import { ConfigurationPage } from './configuration.jsx';
import { HistoryPage } from './history.jsx';
import { LoginPage } from './login.jsx';
import { moment, showTimes, timesAreLocal } from './parts.jsx';
import { ProblemsPage, grouped } from './problems.jsx';
import { ServicePage } from './service.jsx';
import { TopologyPage } from './topology.jsx';
import { TracePage } from './trace.jsx';

const pages = [
  ['topology', 'Topology', TopologyPage], ['service', 'Service', ServicePage], ['trace', 'Trace', TracePage],
  ['problems', 'Problems', ProblemsPage], ['history', 'History', HistoryPage], ['certificates', 'Certificates', CertificatesPage], ['configuration', 'Configuration', ConfigurationPage],
];

/** The page in the address, and its arguments. */
function place() {
  const { hash } = location;
  const [name, query] = hash.replace(/^#\//, '').split('?');
  return { hash, name: pages.some(([page]) => page === name) ? name : 'topology', args: Object.fromEntries(new URLSearchParams(query)) };
}

function App() {
  const [live, setLive] = useState({});
  const [state, setState] = useState(['opening']);
  const [at, setAt] = useState(place());
  const [isLocal, setLocal] = useState(timesAreLocal());
  const heading = useRef();
  const watch = () => listen((name, value) => setLive(before => ({ ...before, [name]: value })), (name, why) => {
    // The next viewer must not see what this one saw.
    if (name === 'login') setLive({});
    setState([name, why]);
  });
  useEffect(() => {
    const moved = () => { setAt(place()); heading.current?.focus(); };
    addEventListener('hashchange', moved);
    enter().then(watch).catch(e => setState(['refused', e.message]));
    return () => removeEventListener('hashchange', moved);
  }, []);
  const login = async token => {
    await begin(token);
    setState(['opening']);
    watch();
  };
  const [, title, Page] = pages.find(([page]) => page === at.name);
  useEffect(() => { document.title = `${title} · Isthmus console`; }, [title]);
  const counts = ['error', 'warning'].map(severity => [severity, grouped(live.problems?.rows ?? []).filter(group => group[0].severity === severity).length]).filter(([, count]) => count > 0);
  return <>
    <a class="skip" href="#main" onClick={e => { e.preventDefault(); heading.current.focus(); }}>Skip to the content</a>
    <header>
      <span class="brand">Isthmus</span>
      <nav aria-label="Pages"><ul>{pages.map(([name, text]) => <li><a href={`#/${name}`} aria-current={name === at.name ? 'page' : undefined}>{text}{name === 'problems' && counts.map(([severity, count]) => <span class={`count ${severity}`}>{count}<span class="hidden"> {count === 1 ? severity : `${severity}s`}{' '}</span></span>)}</a></li>)}</ul></nav>
      <span class={`state ${state[0]}`} role="status">{{ live: 'live', lost: 'connection lost', refused: 'closed', opening: 'opening', login: 'not logged in' }[state[0]]}</span>
      {live.viewer && state[0] !== 'login' && <span class="viewer"><span title={`until ${moment(live.viewer.ends)}`}>{live.viewer.user || 'logged in'}</span> <button type="button" onClick={() => leave().catch(() => {})}>Log out</button></span>}
    </header>
    <main id="main">
      <h1 tabIndex={-1} ref={heading}>{state[0] === 'login' ? 'Log in' : title}</h1>
      {state[0] === 'login' ? <LoginPage why={state[1]} onLogin={login} /> : state[0] === 'refused' ? <p role="alert">This page is closed: {state[1]}.</p> : <Page key={at.name === 'trace' ? at.hash : at.name} {...live} args={at.args} onRefresh={() => call('refresh')} />}
    </main>
    <footer>{live.notice && <span role="status">{live.notice} · </span>}<label class="check"><input type="checkbox" checked={isLocal} onChange={() => { showTimes(!isLocal); setLocal(!isLocal); }} /> local time instead of UTC</label> · <a href="licenses.txt">Licences</a></footer>
  </>;
}

render(<App />, document.body);
