using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>The effective mode of a workload's PeerAuthentications: port before workload before namespace before mesh.</summary>
public sealed record MtlsPolicy(MtlsMode Mode, ValueMap<MtlsMode> Ports)
{
    public static readonly MtlsPolicy Default = new(MtlsMode.Permissive, default);

    public MtlsMode ForPort(int port) =>
        Ports.TryGetValue(port.ToString(System.Globalization.CultureInfo.InvariantCulture), out var own) && own != MtlsMode.Unset ? own : Mode;

    /// <param name="mesh">Policies of the root namespace.</param>
    /// <param name="local">Policies of the workload's namespace.</param>
    public static MtlsPolicy Resolve(IEnumerable<PeerAuthentication> mesh, IEnumerable<PeerAuthentication> local, ValueMap<string> labels)
    {
        var mode = MtlsMode.Permissive;
        var oldestMesh = Oldest(mesh.Where(policy => policy.Selector.Count == 0));
        if (oldestMesh is { Mode: not MtlsMode.Unset }) mode = oldestMesh.Mode;
        var own = local.ToList();
        var ofNamespace = Oldest(own.Where(policy => policy.Selector.Count == 0));
        if (ofNamespace is { Mode: not MtlsMode.Unset }) mode = ofNamespace.Mode;
        var ofWorkload = Oldest(own.Where(policy => policy.Selector.Count > 0 && Selectors.Matches(policy.Selector, labels)));
        if (ofWorkload is null) return mode == Default.Mode ? Default : new(mode, default);
        if (ofWorkload.Mode != MtlsMode.Unset) mode = ofWorkload.Mode;
        return new(mode, ofWorkload.Ports);
    }

    private static PeerAuthentication? Oldest(IEnumerable<PeerAuthentication> policies) =>
        policies.OrderBy(policy => policy.CreatedAt).ThenBy(policy => policy.Source).FirstOrDefault();
}

public static class Selectors
{
    /// <summary>Whether every pair of the selector is among the labels; an empty selector matches everything.</summary>
    public static bool Matches(ValueMap<string> selector, ValueMap<string> labels)
    {
        foreach (var (key, value) in selector.Items)
        {
            if (!labels.TryGetValue(key, out var has) || has != value) return false;
        }
        return true;
    }
}
