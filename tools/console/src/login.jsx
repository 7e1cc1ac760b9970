import { useState } from 'preact/hooks';

/** Asks for a token of the viewer's: the console in a cluster has no rights of its own. */
export function LoginPage({ why, onLogin }) {
  const [state, setState] = useState({});
  const submit = async e => {
    e.preventDefault();
    const field = e.currentTarget.elements.token;
    setState({ busy: true });
    try {
      await onLogin(field.value);
    } catch (error) {
      setState({ error: error.message });
    }
    field.value = '';
  };
  return <form class="login-form" onSubmit={submit}>
    <p>This console has no rights of its own. Give a token for the API server of this cluster: you see what its owner may read.</p>
    <p>For example: <code>kubectl create token NAME -n NAMESPACE</code></p>
    <label class="field wide"><span>Token</span><input name="token" type="password" autocomplete="off" spellcheck={false} required /></label>
    <button type="submit" class="primary" disabled={state.busy}>Log in</button>
    {state.error ? <p role="alert" class="failure">{state.error}</p> : <p role="status" class="quiet">{state.busy ? 'Asking the API server…' : why}</p>}
    <p class="quiet">The token is kept in the memory of the console until you log out or the session ends. It is sent to the API server of this cluster only.</p>
  </form>;
}
