using Isthmus.Core.Collections;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Snapshot;

/// <summary>A listener some of whose certificates or roots are not available: the other filter chains must be served all the same.</summary>
internal static class LackingListener
{
    /// <summary>The secrets that the listener needs and that are not there.</summary>
    public static IEnumerable<string> Lacks(ListenerSnapshot listener, Func<string, bool> isThere) =>
        listener.Chains.All.SelectMany(chain => chain.Tls?.Secrets ?? []).Where(secret => !isThere(secret)).Distinct(StringComparer.Ordinal);

    private static string Consequence(TlsSettings kept, Func<string, bool> isThere) =>
        kept.Secrets.All(isThere) ? "the last good certificate stays"
        : kept.Certificates.Any(isThere) && (kept.Root.Length == 0 || isThere(kept.Root)) ? "its other certificate serves all clients"
        : "handshakes are refused";

    /// <summary>
    /// The listener as it can be served. A chain that lacks a secret keeps the last good one of the chain with the same conditions, if it
    /// had one. Otherwise it refuses handshakes: its clients are checked against the new roots or not at all.
    /// </summary>
    public static ListenerSnapshot Serve(ListenerSnapshot next, ListenerSnapshot? last, Func<string, bool> isThere)
    {
        var notes = new List<string>(next.Notes.Items);
        var chains = next.Chains.With(chain =>
        {
            if (chain.Tls is not { } tls || tls.Secrets.All(isThere)) return chain;
            var known = last?.Chains.All.FirstOrDefault(old => old.Match == chain.Match)?.Tls;
            string Kept(string secret, string? before) =>
                secret.Length == 0 || isThere(secret) || before is not { Length: > 0 } || !isThere(before) ? secret : before;
            var kept = tls with
            {
                Certificates = tls.Certificates.Select((name, i) => Kept(name, i < known?.Certificates.Count ? known.Certificates[i] : null)).ToValueList(),
                Root = Kept(tls.Root, known?.Root),
            };
            var missing = string.Join(", ", tls.Secrets.Where(secret => !isThere(secret)));
            notes.Add(
                $"{(chain.Match.ServerNames.IsEmpty ? "a TLS server" : string.Join(", ", chain.Match.ServerNames))}: {missing} is not available, so "
                    + $"{Consequence(kept, isThere)}");
            return chain with { Tls = kept };
        });
        return next with { Chains = chains, Notes = notes.ToValueList() };
    }
}
