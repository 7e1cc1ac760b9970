import { useEffect, useState } from 'preact/hooks';
import { call } from './connection.js';

/** Asks the server when the arguments change: the answer, the error, and whether it is still asking. */
export function useAsk(name, args, isWanted = true) {
  const [state, setState] = useState({ busy: isWanted });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!isWanted) return setState({});
    const stop = new AbortController();
    setState(before => ({ ...before, busy: true, error: undefined }));
    call(name, args, stop.signal).then(answer => setState({ answer }), e => e.name === 'AbortError' || setState({ error: e.message }));
    return () => stop.abort();
  }, [name, JSON.stringify(args), isWanted, turn]);
  return { ...state, again: () => setTurn(turn + 1) };
}
