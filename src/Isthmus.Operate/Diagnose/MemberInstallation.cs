using Isthmus.Core.Names;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>What an installation gives a cluster of a mesh; parts that nobody knows are empty.</summary>
/// <param name="Context">The kubeconfig context of the cluster.</param>
/// <param name="Name">The name that its proxies use for it.</param>
/// <param name="Network">The label of its system namespace.</param>
/// <param name="Root">The root that its proxies trust.</param>
public sealed record MemberInstallation(string Context, string Name, string Network, string MeshId, string SystemNamespace, Root Root = default)
{
    /// <summary>The command that installs a control plane here, as a member of the mesh of others.</summary>
    /// <param name="others">The clusters of the mesh that are installed.</param>
    public string Command(IReadOnlyList<MemberInstallation> others)
    {
        var name = Name.Length > 0 ? Name
            : string.Concat(Context.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-')).Trim('-');
        var mesh = others.Prepend(this).Select(one => one.MeshId).FirstOrDefault(id => id.Length > 0) ?? "";
        return Roots(others)
            + $"isthmus install -y --context={Context}" + (SystemNamespace is "" or WellKnown.SystemNamespace ? "" : $" --istioNamespace={SystemNamespace}")
            + $" --set values.global.multiCluster.clusterName={name}" + Set("network", NetworkOf(name, others)) + Set("meshID", mesh);
    }

    /// <summary>Its own network; that of all others, where it is one; otherwise a new one.</summary>
    private string NetworkOf(string name, IReadOnlyList<MemberInstallation> others)
    {
        if (Network.Length > 0) return Network;
        var networks = others.Select(one => one.Network).Distinct().ToList();
        // Of one other cluster, nobody knows whether the mesh has one network, unless that has no name.
        return networks is [var common] && (others.Count > 1 || common.Length == 0) ? common : name;
    }

    /// <summary>Control planes that make roots themselves make different ones, with which calls between their clusters fail: where several have the same, it
    /// was given to them. Of one alone, nobody knows.</summary>
    private string Roots(IReadOnlyList<MemberInstallation> others) => others.Where(one => one.Root.IsKnown).ToList() switch
    {
        [var only] => $"if {only.Context} has a Secret cacerts, give {Context} one of the same root first (isthmus ca intermediate); then ",
        [var first, _, ..] known when known.TrueForAll(one => one.Root.Shares(first.Root)) =>
            $"give {Context} a Secret cacerts of the others' root first (isthmus ca intermediate); then ",
        _ => "",
    };

    private static string Set(string field, string value) => value.Length > 0 ? $" --set values.global.{field}={value}" : "";
}
