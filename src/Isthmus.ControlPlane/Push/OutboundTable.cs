using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>
/// A route table of sidecars, and what it is made of. It does not change: scopes with the same routes hold the same one, and those that see the same
/// change hold the same next one, so that only the first of them makes it. Thread-safe.
/// </summary>
internal sealed class OutboundTable
{
    private readonly SharedResources _shared;
    private readonly SharedTable<FallbackInputs, XdsPart>.Entry? _fallback;
    private readonly SharedTable<RouteTableInputs, XdsResource>.Entry _made;
    private readonly Lock _guard = new(); // Guards the fields below.
    private int _holders = 1;
    private Step? _next;

    /// <param name="members">It takes over what they hold, and <paramref name="fallback"/>, also if something cannot be made.</param>
    public OutboundTable(SharedResources shared, string name, int port, SharedTable<FallbackInputs, XdsPart>.Entry? fallback,
        ImmutableArray<OutboundHost> members)
    {
        (_shared, Name, Port, _fallback, Members) = (shared, name, port, fallback, members);
        try
        {
            var parts = ImmutableArray.CreateBuilder<XdsPart>(members.Length + 1);
            foreach (var member in members) parts.Add(member.Part.Made);
            if (fallback is not null) parts.Add(fallback.Made);
            _made = shared.RouteTables.Take(new(name, parts.DrainToImmutable()));
        }
        catch
        {
            ReturnParts();
            throw;
        }
    }

    /// <summary>A change that was made of it.</summary>
    private sealed record Step(ImmutableArray<(int At, OutboundHost Host)> Changes, WeakReference<OutboundTable> Next)
    {
        public bool Is(ImmutableArray<(int At, OutboundHost Host)> changes) => Changes.Length == changes.Length
            && Changes.Zip(changes).All(pair => pair.First.At == pair.Second.At && ReferenceEquals(pair.First.Host.Part, pair.Second.Host.Part));
    }

    public string Name { get; }

    public int Port { get; }

    /// <summary>It is for all hosts of a port, and not for one of them.</summary>
    public bool IsOfPort => _fallback is not null;

    public ImmutableArray<OutboundHost> Members { get; }

    public XdsResource Resource => _made.Made;

    /// <summary>Somebody else holds it, too.</summary>
    /// <returns>False: nobody holds it any more.</returns>
    public bool TryHold()
    {
        lock (_guard)
        {
            if (_holders == 0) return false;
            _holders++;
            return true;
        }
    }

    /// <summary>A holder needs it no longer.</summary>
    public void Return()
    {
        lock (_guard)
        {
            if (--_holders > 0) return;
        }
        ReturnParts();
        _shared.RouteTables.Return(_made);
    }

    private void ReturnParts()
    {
        foreach (var member in Members) _shared.VirtualHosts.Return(member.Part);
        if (_fallback is not null) _shared.Fallbacks.Return(_fallback);
    }

    /// <summary>The table with other members in some places, for a holder of its own.</summary>
    /// <param name="changes">It takes over what they hold.</param>
    public OutboundTable With(ImmutableArray<(int At, OutboundHost Host)> changes)
    {
        lock (_guard)
        {
            if (_next is { } step && step.Is(changes) && step.Next.TryGetTarget(out var known) && known.TryHold())
            {
                foreach (var (_, host) in changes) _shared.VirtualHosts.Return(host.Part);
                return known;
            }
            var members = Members.ToBuilder();
            // First all of them, so that what has not changed is held once more.
            _shared.VirtualHosts.Keep(members.Select(member => member.Part));
            foreach (var (at, host) in changes)
            {
                _shared.VirtualHosts.Return(members[at].Part);
                members[at] = host;
            }
            if (_fallback is not null) _shared.Fallbacks.Keep([_fallback]);
            var next = new OutboundTable(_shared, Name, Port, _fallback, members.DrainToImmutable());
            _next = new(changes, new(next));
            return next;
        }
    }
}

/// <summary>A host of a route table.</summary>
/// <param name="Service">Null for a name that only a VirtualService defines.</param>
/// <param name="Domains">What is left of its domains: a table must not contain one twice.</param>
internal sealed record OutboundHost(string Host, MeshService? Service, ValueList<string> Domains, SharedTable<VirtualHostInputs, XdsPart>.Entry Part);
