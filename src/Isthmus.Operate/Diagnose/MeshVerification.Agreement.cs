using System.Globalization;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>Checks whether clusters agree about each other: names, remote secrets, networks, address ranges.</summary>
public static partial class MeshVerification
{
    /// <summary>A cluster without its own control plane is a remote of the control planes that it names.</summary>
    private static IEnumerable<Check> Remote(ClusterFacts cluster, List<ClusterFacts> members)
    {
        if (cluster.ControlPlanes.Count > 0 || HostOf(cluster, members).Plane is not null) yield break;
        var primaries = members.Where(other => other.ControlPlanes.Count > 0).ToList();
        if (primaries.Count == 0) yield break;
        var named = cluster.ControlPlaneClusters;
        var by = primaries.Where(primary => named.Contains(primary.Name) || named.Contains("*")).ToList();
        if (by.Count == 0 && !named.IsEmpty)
        {
            yield return new(cluster.Context, "primary", $"of {string.Join(", ", named)}", Wrong("ISM1009", cluster, $"Namespace {cluster.SystemNamespace}",
                $"annotation {Annotations.ControlPlaneClusters} names {string.Join(", ", named)}, and no control plane of these clusters has that name; existing ones: {string.Join(", ", primaries.Select(primary => primary.Name))}",
                $"kubectl --context={cluster.Context} annotate namespace {cluster.SystemNamespace} {Annotations.ControlPlaneClusters}={primaries[0].Name} --overwrite"));
            yield break;
        }
        foreach (var check in Way(cluster, by.Count > 0 ? by : primaries)) yield return check;
        yield return new(cluster.Context, "primary", by.Count > 0 ? $"remote, of {string.Join(", ", by.Select(primary => primary.Context))}" : "remote, of no cluster by name", null);
    }

    private static IEnumerable<Check> Names(List<ClusterFacts> installed)
    {
        foreach (var same in installed.Where(cluster => cluster.Name.Length > 0 && !cluster.IsJoinedByNames).GroupBy(cluster => cluster.Name, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            foreach (var cluster in same.Skip(1))
            {
                yield return new(cluster.Context, "cluster name", same.Key, Wrong("ISM1024", cluster, "", $"is called {same.Key}, and so is {same.First().Context}: each hides the Pods of the other",
                    $"install {cluster.Context} again with another --set values.global.multiCluster.clusterName, and create the remote secrets again"));
            }
        }
    }

    private static IEnumerable<Check> Secrets(ClusterFacts cluster, List<ClusterFacts> members, DateTimeOffset now)
    {
        foreach (var secret in cluster.RemoteSecrets)
        {
            var problem = Judge(cluster, secret, members, now)
                ?? (cluster.RemoteSecrets.FirstOrDefault(other => other != secret && other.Cluster == secret.Cluster) is { } twin && string.CompareOrdinal(twin.Secret, secret.Secret) < 0
                    ? Wrong("ISM1024", cluster, $"Secret {secret.Secret}", $"names cluster {secret.Cluster}, and so does Secret {twin.Secret}: only one of them is used", "delete one of them") : null);
            yield return new(cluster.Context, "remote secret", secret.Expires is { } end ? string.Create(CultureInfo.InvariantCulture, $"{secret.Cluster} at {secret.Server}, until {end:yyyy-MM-dd}") : $"{secret.Cluster} at {secret.Server}", problem);
        }
    }

    private static Problem? Judge(ClusterFacts cluster, RemoteSecretFacts secret, List<ClusterFacts> members, DateTimeOffset now)
    {
        var @object = $"Secret {secret.Secret}";
        var meant = members.FirstOrDefault(member => member.Name == secret.Cluster);
        var again = $"isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={secret.Cluster} | kubectl apply -f - --context={cluster.Context}";
        if (secret.Error.Length > 0) return Wrong("ISM1025", cluster, @object, $"cannot be used: {secret.Error}", again);
        if (Uri.TryCreate(secret.Server, UriKind.Absolute, out var server) && (server.IsLoopback || server.Host is "0.0.0.0"))
        {
            return Wrong("ISM1027", cluster, @object, $"points to {secret.Server}, which is the control plane's own Pod, not the API server of {secret.Cluster}",
                $"create it with an address that Pods can reach: isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={secret.Cluster} --server=https://ADDRESS:6443");
        }
        if (secret.Expires <= now) return Wrong("ISM1023", cluster, @object, $"its token expired at {secret.Expires:u}", again);
        var other = members.FirstOrDefault(member => member.Server == secret.Server && member.Name.Length > 0 && member.Name != secret.Cluster);
        return other is null || meant?.Server == secret.Server || members.Count(member => member.Name == other.Name) > 1 ? null
            : Wrong("ISM1026", cluster, @object, $"calls the cluster at {secret.Server} {secret.Cluster}, and that one calls itself {other.Name}", $"create it again with --name={other.Name}");
    }

    /// <summary>Gateways and proxies must have the same network as the cluster that they are in.</summary>
    private static IEnumerable<Check> NetworkNames(List<ClusterFacts> installed)
    {
        foreach (var cluster in installed.Where(cluster => cluster.NetworkLabel.Length > 0 && !cluster.IsJoinedByNames))
        {
            if (Meant(cluster) is { } meant)
            {
                yield return new(cluster.Context, "network", cluster.NetworkLabel, Wrong("ISM1017", cluster, $"Namespace {cluster.SystemNamespace}",
                    $"its label {Labels.Network} is {cluster.NetworkLabel}, but gateways and proxies of the cluster use {meant}, so Pods are assigned to a network without a gateway", LabelNamespace(cluster, meant)));
                continue;
            }
            foreach (var gateway in cluster.Gateways.Where(gateway => gateway.Network != cluster.NetworkLabel && installed.All(other => other.NetworkLabel != gateway.Network)))
            {
                yield return new(cluster.Context, "gateway", $"{gateway.Name} of {gateway.Network}", Wrong("ISM1016", cluster, $"Service {gateway.Name}",
                    $"its label {Labels.Network} is {gateway.Network}, but no cluster is in that network; the namespace of its control plane has {cluster.NetworkLabel}",
                    $"kubectl --context={cluster.Context} -n {gateway.Name.Split('/')[0]} label service {gateway.Name.Split('/')[^1]} {Labels.Network}={cluster.NetworkLabel} --overwrite"));
            }
            foreach (var network in cluster.ProxyNetworks.Where(network => network.Length > 0 && network != cluster.NetworkLabel))
            {
                yield return new(cluster.Context, "network", network, Wrong("ISM1017", cluster, $"Namespace {cluster.SystemNamespace}",
                    $"its label {Labels.Network} is {cluster.NetworkLabel}, but proxies were started with {network} (values.global.network)", "set both to the same value, then restart the workloads"));
            }
        }
    }

    /// <summary>The network that all gateways and proxies of a cluster use when its label names another network or is
    /// missing.</summary>
    private static string? Meant(ClusterFacts cluster)
    {
        var said = cluster.Gateways.Select(gateway => gateway.Network).Concat(cluster.ProxyNetworks).Where(network => network.Length > 0).Distinct().ToList();
        return said is [var one] && one != cluster.NetworkLabel && !cluster.IsJoinedByNames ? one : null;
    }

    private static string LabelNamespace(ClusterFacts cluster, string network) =>
        $"kubectl --context={cluster.Context} label namespace {cluster.SystemNamespace} {Labels.Network}={network} --overwrite";

    /// <summary>Within one network, an address may belong to only one Pod.</summary>
    private static IEnumerable<Check> Ranges(List<ClusterFacts> installed)
    {
        foreach (var network in installed.Where(cluster => !cluster.IsJoinedByNames).GroupBy(cluster => cluster.NetworkLabel, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            var ranges = network.SelectMany(cluster => cluster.PodRanges.Select(text => (Cluster: cluster, Range: Cidr.TryParse(text, out var range) ? range : (Cidr?)null))).Where(entry => entry.Range is not null).ToList();
            foreach (var cluster in network)
            {
                var clash = ranges.Where(entry => entry.Cluster == cluster).SelectMany(own => ranges.TakeWhile(entry => entry.Cluster != cluster)
                    .Where(entry => entry.Range!.Value.Contains(own.Range!.Value.Base) || own.Range.Value.Contains(entry.Range.Value.Base)).Select(entry => (Own: own.Range, Other: entry))).FirstOrDefault();
                if (clash.Own is null) continue;
                yield return new(cluster.Context, "address ranges", $"{clash.Own}", Wrong("ISM1030", cluster, "", $"its Pods have addresses of {clash.Own}, and those of {clash.Other.Cluster.Context} of {clash.Other.Range}, although both are in {(network.Key.Length == 0 ? "one network" : $"network {network.Key}")}",
                    $"give the clusters ranges that do not overlap, or put them in different networks (label {Labels.Network}) with gateways between"));
            }
        }
    }
}
