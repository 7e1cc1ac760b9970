using Isthmus.Graph.History;
using Isthmus.Core.Collections;

namespace Isthmus.ControlPlane.Push;

/// <summary>Counts what one publication changes for proxies, for the history of changes.</summary>
internal sealed class PushEffects
{
    private const int MostNames = 10;

    /// <summary>Where counting ends: a change of more resources than that is one of all of them.</summary>
    private const int MostCounted = 1000;

    private static readonly string[] Types = ["clusters", "endpoints", "listeners", "routes", "names", "secrets", "extensions"];

    private readonly int[] _proxies = new int[Types.Length];
    private readonly HashSet<string>[] _names = [.. Types.Select(_ => new HashSet<string>(StringComparer.Ordinal))];
    private readonly Dictionary<(ResourceSet, ResourceSet), bool> _differs = []; // Most proxies share their sets.
    private int _all;

    /// <summary>Resources that the proxies of one scope share. One that has none yet is new, and not changed.</summary>
    internal void Add(
        (ResourceSet Clusters, ResourceSet Endpoints, ResourceSet Listeners, ResourceSet Routes, ResourceSet Names) last,
        (ResourceSet Clusters, ResourceSet Endpoints, ResourceSet Listeners, ResourceSet Routes, ResourceSet Names) now)
    {
        Compare(0, last.Clusters, now.Clusters);
        Compare(1, last.Endpoints, now.Endpoints);
        Compare(2, last.Listeners, now.Listeners);
        Compare(3, last.Routes, now.Routes);
        Compare(4, last.Names, now.Names);
    }

    /// <summary>What one proxy is given now.</summary>
    internal void Add(in GivenResources last, in GivenResources now)
    {
        if (last.Clusters is null) return; // It has just connected.
        var isInbound = !ReferenceEquals(last.Inbound, now.Inbound);
        ReadOnlySpan<bool> differs =
        [
            Differs(last.Clusters, now.Clusters) || (isInbound && Differs(last.Inbound?.Clusters, now.Inbound?.Clusters)),
            Differs(last.Endpoints, now.Endpoints) || (isInbound && Differs(last.Inbound?.Endpoints, now.Inbound?.Endpoints)),
            Differs(last.Listeners, now.Listeners) || (isInbound && Differs(last.Inbound?.Listeners, now.Inbound?.Listeners)), Differs(last.Routes, now.Routes),
            Differs(last.Names, now.Names), Differs(last.Secrets, now.Secrets), Differs(last.Extensions, now.Extensions),
        ];
        var any = false;
        for (var type = 0; type < differs.Length; type++)
        {
            if (!differs[type]) continue;
            any = true;
            _proxies[type]++;
        }
        if (any) _all++;
        if (!isInbound) return;
        Compare(0, last.Inbound?.Clusters, now.Inbound?.Clusters);
        Compare(1, last.Inbound?.Endpoints, now.Inbound?.Endpoints);
        Compare(2, last.Inbound?.Listeners, now.Inbound?.Listeners);
    }

    internal PushEffect Sum() =>
        new(_all,
            Types.Select((type, index) => new ChangedType(type, _proxies[index], _names[index].Count,
                _names[index].Order(StringComparer.Ordinal).Take(MostNames).ToValueList()))
        .Where(type => type.Proxies > 0).ToValueList());

    private void Compare(int type, ResourceSet? last, ResourceSet? now)
    {
        if (last is null || now is null || ReferenceEquals(last, now)) return;
        foreach (var name in now.ChangedSince(last) ?? [.. last.Items.Keys, .. now.Items.Keys])
        {
            if (_names[type].Count >= MostCounted) return;
            if (VersionOf(last, name) != VersionOf(now, name)) _names[type].Add(name);
        }
    }

    private bool Differs(ResourceSet? last, ResourceSet? now)
    {
        if (ReferenceEquals(last, now)) return false;
        if (last is null || now is null || last.Count != now.Count) return true;
        if (_differs.TryGetValue((last, now), out var known)) return known;
        return _differs[(last, now)] = (now.ChangedSince(last) ?? [.. now.Items.Keys]).Any(name => VersionOf(last, name) != VersionOf(now, name));
    }

    private static string? VersionOf(ResourceSet set, string name) => set.Items.GetValueOrDefault(name)?.Version;
}
