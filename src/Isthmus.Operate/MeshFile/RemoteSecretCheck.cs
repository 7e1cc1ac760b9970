using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;

namespace Isthmus.Operate.MeshFile;

/// <summary>
/// Judges a remote secret by what you can do with it. Its text cannot be known beforehand, because the cluster creates the
/// token in it.
/// </summary>
internal sealed class RemoteSecretCheck(MeshLinks links)
{
    internal static string Name(string watched) => WellKnown.RemoteSecretPrefix + watched;

    internal static string Describe(string watched) => $"Secret {WellKnown.SystemNamespace}/{Name(watched)}";

    /// <summary>Null when the watcher reaches the watched cluster with it.</summary>
    internal async Task<Change?> CompareAsync(Watch watch, CancellationToken stop)
    {
        var live = await links[watch.Watcher].Client.FindAsync<Secret>(Kinds.Secret, WellKnown.SystemNamespace, Name(watch.Watched), stop);
        if (live is null) return new(watch.Watcher, Part.RemoteSecrets, ChangeKind.Create, Describe(watch.Watched), []);
        var faults = await FaultsAsync(live, watch.Watched, links[watch.Watched], stop);
        if (live.Metadata.Labels.GetValueOrDefault(Labels.MultiCluster) is var label && label != "true")
            faults.Add(new($"metadata.labels.{Labels.MultiCluster}", "true", label ?? ""));
        return faults.Count == 0 ? null : new(watch.Watcher, Part.RemoteSecrets, ChangeKind.Change, Describe(watch.Watched), faults.ToValueList());
    }

    /// <summary>Checks the Secret with which a control plane reads its configuration from a cluster elsewhere.</summary>
    internal async Task<Change?> CompareConfigAsync(ClusterSpec hosted, string part, CancellationToken stop)
    {
        var (host, name) = (hosted.ControlPlane!, $"Secret {hosted.SystemNamespace}/{WellKnown.ConfigSecret}");
        var live = await links[host.Cluster].Client.FindAsync<Secret>(Kinds.Secret, host.Namespace, WellKnown.ConfigSecret, stop);
        if (live is null) return new(host.Cluster, part, ChangeKind.Create, name, []);
        var faults = await FaultsAsync(live, "config", links[hosted.Name], stop);
        return faults.Count == 0 ? null : new(host.Cluster, part, ChangeKind.Change, name, faults.ToValueList());
    }

    private static async Task<List<FieldDifference>> FaultsAsync(Secret live, string key, ClusterLink watched, CancellationToken stop)
    {
        var faults = new List<FieldDifference>();
        var path = $"data.{key}";
        if (live.Bytes(key) is not { Length: > 0 } bytes) return [.. faults, new(path, "a kubeconfig", "")];
        ClusterAccess access;
        var text = Encoding.UTF8.GetString(bytes);
        try
        {
            RemoteSecretReader.RequireSelfContained(text, Name(watched.Name));
            access = KubeConfig.Parse(text, null, Name(watched.Name));
        }
        catch (ProblemException e) { return [.. faults, new(path, "a kubeconfig", e.Message)]; }
        var server = access.Server.ToString().TrimEnd('/');
        if (server != watched.Server) faults.Add(new($"{path}: server", watched.Server, server));
        if (await RootAsync(watched, stop) is { Length: > 0 } root && access.CertificateAuthority?.Trim() is var authority && authority != root)
            faults.Add(new($"{path}: certificate-authority-data", "the CA of the cluster", authority is null ? "" : "another CA"));
        if (!await IsAcceptedAsync(access.Token, watched, stop))
            faults.Add(new($"{path}: token", "a token that the cluster accepts", access.Token is null ? "" : "one that it rejects"));
        return faults;
    }

    private static async Task<string> RootAsync(ClusterLink watched, CancellationToken stop)
    {
        var map = await watched.Client.FindAsync<ConfigMap>(Kinds.ConfigMap, "kube-system", "kube-root-ca.crt", stop);
        return map?.Data.GetValueOrDefault("ca.crt")?.Trim() ?? "";
    }

    /// <summary>Uses the address of the kubeconfig: the one in the secret may be reachable only from Pods.</summary>
    private static async Task<bool> IsAcceptedAsync(string? token, ClusterLink watched, CancellationToken stop)
    {
        if (token is null) return false;
        using var client = new KubeClient(watched.Client.Access with
        {
            Token = token, TokenFile = null, ClientCertificate = null, ClientKey = null, Username = null, Password = null, Exec = null, Impersonate = null,
        }, "isthmus-mesh");
        try
        {
            await client.ListAsync<JsonObject>(Kinds.Namespace, null, new ListOptions { Limit = 1 }, stop);
            return true;
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            return false;
        }
    }
}
