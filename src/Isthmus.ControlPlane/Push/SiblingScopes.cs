using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>Scopes of sidecars that differ in their namespaces only: most of what one of them has, the others have, too. Not thread-safe.</summary>
internal sealed class SiblingScopes
{
    private static readonly ObjectRef Nobody = new("", "", "", "");

    private readonly Dictionary<ProxyScope, HashSet<ScopeView>> _families = [];
    private readonly Dictionary<ScopeView, HashSet<ScopeView>> _familyOf = [];

    /// <summary>A scope like this one that has all of a revision; null if there is none.</summary>
    public ScopeView? Find(ResolvedProxy resolved, MeshView mesh) =>
        KeyOf(resolved) is { } key && _families.TryGetValue(key, out var family) ? family.FirstOrDefault(view => view.IsAt(mesh)) : null;

    /// <summary>The one of its family that is updated before the others; itself when it has none. May be used by several threads at once.</summary>
    public ScopeView FirstOf(ScopeView view) => _familyOf.TryGetValue(view, out var family) ? family.First() : view;

    public void Add(ResolvedProxy resolved, ScopeView view)
    {
        if (KeyOf(resolved) is not { } key) return;
        var family = _families.TryGetValue(key, out var known) ? known : _families[key] = [];
        family.Add(view);
        _familyOf[view] = family;
    }

    public void Remove(ResolvedProxy resolved, ScopeView view)
    {
        if (_familyOf.Remove(view, out var family) && family.Remove(view) && family.Count == 0) _families.Remove(KeyOf(resolved)!);
    }

    /// <summary>The scope without its namespace, and without what a Sidecar says of calls to the workload; null for a gateway.</summary>
    private static ProxyScope? KeyOf(ResolvedProxy resolved) => resolved is { Gateway: null, Scope: { } scope }
        && scope.Domain.StartsWith($"{scope.Namespace}.svc.", StringComparison.Ordinal)
        ? scope with
        {
            Namespace = "", Domain = scope.Domain[scope.Namespace.Length..],
            Sidecar = scope.Sidecar is { } sidecar ? new(Nobody, default, default, sidecar.Egress, sidecar.OutboundTrafficPolicy, 0) : null,
        } : null;
}
