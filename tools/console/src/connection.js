// Calls of the server, and its events. The key is the only secret: other origins cannot read it.

const storage = 'isthmus-console-key';

export class CallError extends Error {
  constructor(status, message, asksForToken) {
    super(message);
    this.status = status;
    this.asksForToken = asksForToken;
  }
}

async function post(name, args, signal) {
  const response = await fetch(`/api/${name}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Isthmus-Key': localStorage.getItem(storage) ?? '' },
    body: JSON.stringify(args ?? {}),
    signal,
  });
  if (!response.ok) throw new CallError(response.status, (await response.text()).trim(), response.headers.has('WWW-Authenticate'));
  return response;
}

export const call = async (name, args, signal) => (await post(name, args, signal)).json();

/** Exchanges the token in the address for a key. Without a token, an earlier key may still be valid. */
export async function enter() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  history.replaceState(null, '', location.pathname + '#/topology');
  await begin(token);
}

/** Exchanges a token for a key. */
export async function begin(token) {
  localStorage.removeItem(storage);
  localStorage.setItem(storage, (await call('session', { token })).key);
}

/** Ends the session. */
export async function leave() {
  await call('leave');
  localStorage.removeItem(storage);
}

/** Listens for server-sent events, and connects again after an interruption, until the key is refused. */
export async function listen(onEvent, onState) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    try {
      const reader = (await post('events')).body.pipeThrough(new TextDecoderStream()).getReader();
      onState('live');
      pause = 250;
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (rest + part.value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          const [, name, data] = block.match(/^event: (.*)\ndata: (.*)$/) ?? [];
          if (name) onEvent(name, JSON.parse(data));
        }
      }
    } catch (e) {
      if (e instanceof CallError && (e.status === 401 || e.asksForToken)) return onState(e.asksForToken ? 'login' : 'refused', e.message);
    }
    onState('lost');
    await new Promise(done => setTimeout(done, pause));
  }
}
