using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>The listeners of a Gateway, or of a ListenerSet that adds to it.</summary>
/// <param name="Owner">The Gateway or ListenerSet.</param>
/// <param name="Generation">That of the owner.</param>
/// <param name="Gateway">The Gateway that serves them.</param>
/// <param name="Conflicts">For each listener, the reason why another one takes its place; empty: none does.</param>
public sealed record OwnedListeners(
    ObjectRef Owner, ObjectGeneration Generation, ApiGateway Gateway, ValueList<ApiListener> Listeners, ValueList<string> Conflicts)
{
    /// <summary>Whether the Gateway allows listeners of the owner.</summary>
    public bool IsAllowed { get; init; } = true;
}

/// <summary>
/// Which listeners of a Gateway and its ListenerSets are distinct. Of a Gateway's own listeners that conflict, none is served. Listeners of sets
/// give way to those of the Gateway, and to those of older sets.
/// </summary>
public static class ListenerPlan
{
    public const string HostnameConflict = "HostnameConflict", ProtocolConflict = "ProtocolConflict";

    /// <param name="gateway">The Gateway.</param>
    /// <param name="sets">The ListenerSets that name it as their parent.</param>
    /// <param name="labelsOf">The labels of a namespace.</param>
    public static IEnumerable<OwnedListeners> Of(ApiGateway gateway, IEnumerable<ListenerSet> sets, Func<string, ValueMap<string>> labelsOf)
    {
        var taken = new Dictionary<(int Port, bool IsUdp), Port>();
        foreach (var listener in gateway.Listeners) Take(taken, listener);
        yield return new(gateway.Source, gateway.Generation, gateway, gateway.Listeners,
            gateway.Listeners.Select(listener => taken[KeyOf(listener)].Conflict(listener, 1)).ToValueList());
        foreach (var set in sets.OrderBy(set => set.CreatedAt).ThenBy(set => set.Source))
        {
            if (!NamespaceRules.Allow(gateway.AllowedListeners, gateway.Namespace, set.Namespace, labelsOf))
            {
                yield return new(set.Source, set.Generation, gateway, set.Listeners, default) { IsAllowed = false };
                continue;
            }
            var conflicts = new List<string>();
            foreach (var listener in set.Listeners)
            {
                var conflict = taken.TryGetValue(KeyOf(listener), out var port) ? port.Conflict(listener, 0) : "";
                conflicts.Add(conflict);
                if (conflict.Length == 0) Take(taken, listener);
            }
            yield return new(set.Source, set.Generation, gateway, set.Listeners, conflicts.ToValueList());
        }
    }

    private static (int Port, bool IsUdp) KeyOf(ApiListener listener) => (listener.Port, listener.Protocol == "UDP");

    private static void Take(Dictionary<(int Port, bool IsUdp), Port> taken, ApiListener listener)
    {
        if (!taken.TryGetValue(KeyOf(listener), out var port)) taken[KeyOf(listener)] = port = new();
        port.Add(listener);
    }

    /// <summary>The listeners of one port.</summary>
    private sealed class Port
    {
        private readonly HashSet<string> _kinds = new(StringComparer.Ordinal);
        private readonly Dictionary<string, (int Count, string Protocol)> _hosts = new(StringComparer.OrdinalIgnoreCase);

        public void Add(ApiListener listener)
        {
            // Nobody serves what it asks for: it takes no place.
            if (KindOf(listener) is not { } kind) return;
            _kinds.Add(kind);
            var known = _hosts.GetValueOrDefault(HostOf(listener), (0, listener.Protocol));
            _hosts[HostOf(listener)] = (known.Item1 + 1, known.Item2 == listener.Protocol ? known.Item2 : "");
        }

        /// <param name="own">How many of the listeners with the same host are the listener itself.</param>
        public string Conflict(ApiListener listener, int own)
        {
            if (KindOf(listener) is not { } kind) return "";
            if (_kinds.Any(other => other != kind)) return ProtocolConflict;
            return !_hosts.TryGetValue(HostOf(listener), out var same) || same.Count <= own ? ""
                : same.Protocol == listener.Protocol && listener.Protocol is not ("TCP" or "UDP") ? HostnameConflict : ProtocolConflict;
        }

        /// <summary>Listeners of one kind can share a port; null: not served.</summary>
        private static string? KindOf(ApiListener listener) => listener.Protocol switch
        {
            "HTTPS" or "TLS" => "TLS",
            "HTTP" or "TCP" or "UDP" => listener.Protocol,
            _ => null,
        };

        /// <summary>Connections without TLS do not say which host they are for.</summary>
        private static string HostOf(ApiListener listener) => listener.Protocol is "TCP" or "UDP" ? "" : listener.Hostname;
    }
}
