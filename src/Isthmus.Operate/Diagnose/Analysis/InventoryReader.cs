using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Render;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Reads the objects to analyze from API servers. It changes nothing.</summary>
/// <param name="proxies">How many proxies of each cluster to ask what they trust; 0 for none, and no control plane either.</param>
public sealed class InventoryReader(string istioNamespace, int proxies)
{
    private const int AtOnce = 8;

    /// <summary>Roles for Istio need not include these: without them, some analyzers are skipped.</summary>
    private static readonly ResourceKind[] Optional =
    [
        Kinds.Ingress, Kinds.IngressClass, Kinds.Deployment, Kinds.StatefulSet, Kinds.DaemonSet, Kinds.ServiceAccount, Kinds.MutatingWebhookConfiguration, Kinds.NetworkPolicy,
    ];

    /// <summary>The kinds of which all objects are read.</summary>
    internal static readonly IReadOnlyList<ResourceKind> Lists =
        [Kinds.Service, Kinds.Pod, Kinds.Node, Kinds.Namespace, .. Optional, .. IstioKind.All.Where(kind => kind.Kind != "IstioOperator").Select(kind => Manifests.ResourceOf(kind))];

    /// <summary>The settings of control planes, and the roots in all namespaces.</summary>
    internal const string SettingsLabel = $"{ObjectLabels.Component}=Pilot", RootsField = $"metadata.name={WellKnown.RootCertConfigMap}";

    public async Task<ClusterInventory> ReadAsync(string context, ClusterAccess access, CancellationToken stop)
    {
        using var client = new KubeClient(access, "isthmus-analyze") { RequestTimeout = TimeSpan.FromSeconds(10) };
        try
        {
            return await ReadAsync(context, client, stop);
        }
        catch (HttpRequestException e)
        {
            return ClusterInventory.Unreadable(context, $"{access.Server} cannot be reached: {Unreachable.Describe(e)}");
        }
        catch (KubeException e)
        {
            return ClusterInventory.Unreadable(context, e.Message);
        }
    }

    private async Task<ClusterInventory> ReadAsync(string context, KubeClient client, CancellationToken stop)
    {
        var lists = await Task.WhenAll(Lists.Select(kind => ListAsync(client, kind, stop)));
        var objects = lists.SelectMany(list => list ?? []).ToList();
        var unread = Lists.Zip(lists).Where(pair => pair.Second is null).Select(pair => pair.First.Kind).ToHashSet(StringComparer.Ordinal);
        if (await client.FindAsync(Kinds.ConfigMap, "kube-system", "coredns", stop) is { } dns) objects.Add(Typed(dns, Kinds.ConfigMap));
        objects.AddRange(await SettingsAsync(client, stop));
        var cluster = ClusterInventory.From(context, objects, await TrustAsync(client, [.. objects.Where(value => value["kind"]?.ToString() == "Pod")], stop), istioNamespace, unread);
        return cluster.WithCredentials(await CredentialsAsync(client, cluster, stop)).WithReports(proxies > 0 ? await ReportsAsync(client, stop) : []);
    }

    /// <summary>What control planes know of running proxies and objects do not tell; empty when none responds. Their health is not checked here.</summary>
    private async Task<ValueList<Problem>> ReportsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return (await new MeshQuery(client, istioNamespace).ProblemsAsync(stop)).Where(problem => TelemetryLosses.Analyzer.Codes.Any(code => code.Code == problem.Code)).ToValueList();
        }
        catch (Exception e) when (e is ProblemException or HttpRequestException or KubeException)
        {
            return [];
        }
    }

    /// <summary>The settings of the mesh, of each revision.</summary>
    private async Task<IEnumerable<JsonObject>> SettingsAsync(KubeClient client, CancellationToken stop)
    {
        var labelled = await client.ListAllAsync<JsonObject>(Kinds.ConfigMap, istioNamespace, new ListOptions { LabelSelector = SettingsLabel }, stop);
        var maps = labelled.Append(await client.FindAsync(Kinds.ConfigMap, istioNamespace, "istio", stop)).OfType<JsonObject>();
        return maps.Where(map => map["data"]?["mesh"] is not null).DistinctBy(map => map["metadata"]?["name"]?.ToString()).Select(map => Typed(map, Kinds.ConfigMap));
    }

    private static async Task<ValueMap<string>> CredentialsAsync(KubeClient client, ClusterInventory cluster, CancellationToken stop)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var reference in CredentialReferences.Of(cluster).DistinctBy(reference => reference.Key))
        {
            try
            {
                var own = await FindAsync(client, reference.Namespace, reference.Name, stop);
                var problem = own?.KeyPairProblem ?? CredentialReferences.DoesNotExist;
                if (problem.Length == 0 && reference.ChecksClients)
                    problem = (own!.HasClientCa ? own : await FindAsync(client, reference.Namespace, $"{reference.Name}{SecretFacts.CaSuffix}", stop) ?? SecretFacts.None).ClientCaProblem;
                found[reference.Key] = problem;
            }
            catch (KubeException e) when (e.Code == 403)
            {
                // Whoever may not read Secrets gets no finding about them.
            }
        }
        return found.ToValueMap();
    }

    private static async Task<SecretFacts?> FindAsync(KubeClient client, string ns, string name, CancellationToken stop) =>
        await client.FindAsync<Secret>(Kinds.Secret, ns, name, stop) is { } secret ? SecretFacts.Of(secret) : null;

    /// <summary>Null: nobody may read them.</summary>
    private static async Task<IReadOnlyList<JsonObject>?> ListAsync(KubeClient client, ResourceKind kind, CancellationToken stop)
    {
        try
        {
            return [.. (await client.ListAllAsync<JsonObject>(kind, null, new ListOptions(), stop)).Select(value => Typed(value, kind))];
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // The kinds are not defined: a cluster without a control plane.
        }
        catch (KubeException e) when (e.Code == 403 && Optional.Contains(kind))
        {
            return null;
        }
    }

    /// <summary>Items of a list lack apiVersion and kind.</summary>
    private static JsonObject Typed(JsonObject value, ResourceKind kind)
    {
        value["apiVersion"] ??= kind.ApiVersion;
        value["kind"] ??= kind.Kind;
        return value;
    }

    private async Task<TrustFacts> TrustAsync(KubeClient client, IReadOnlyList<JsonObject> pods, CancellationToken stop)
    {
        if (await client.FindAsync<Namespace>(Kinds.Namespace, null, istioNamespace, stop) is null) return TrustFacts.None;
        var given = await FindAsync(client, istioNamespace, WellKnown.CaCerts, stop);
        var own = await FindAsync(client, istioNamespace, WellKnown.SelfSignedCa, stop);
        var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, null, new ListOptions { FieldSelector = RootsField }, stop);
        var roots = maps.ToDictionary(map => map.Metadata.Namespace, map => Root.Of(map.Data.GetValueOrDefault(WellKnown.RootCertKey)), StringComparer.Ordinal);
        var deployments = await client.ListAllAsync<Deployment>(Kinds.Deployment, istioNamespace, new ListOptions { LabelSelector = "app=istiod" }, stop);
        var controlPlanes = pods.Where(pod => pod["metadata"]?["namespace"]?.ToString() == istioNamespace && pod["metadata"]?["labels"]?["app"]?.ToString() == "istiod");
        return new(true,
            given?.GivenRoot ?? Root.None, given?.CreatedAt, own?.OwnRoot ?? Root.None, own?.CreatedAt,
            roots.GetValueOrDefault(istioNamespace), deployments.Select(deployment => deployment.Metadata.CreationTimestamp).Min(), controlPlanes.Select(Started).Min(),
            roots.Where(root => root.Key != istioNamespace && root.Value.IsKnown).ToValueMap(), await ProxiesAsync(client, pods, stop));
    }

    private static DateTimeOffset? Started(JsonObject pod) => DateTimeOffset.TryParse(pod["status"]?["startTime"]?.ToString(), out var time) ? time : null;

    private async Task<ValueList<ProxyTrust>> ProxiesAsync(KubeClient client, IReadOnlyList<JsonObject> pods, CancellationToken stop)
    {
        var asked = pods.Where(pod => pod["metadata"]?["deletionTimestamp"] is null && pod["status"]?["phase"]?.ToString() == "Running"
            && ((string[])["containers", "initContainers"]).Any(list => (pod["spec"]?[list] as JsonArray ?? []).Any(container => container?["name"]?.ToString() == "istio-proxy"))).Take(proxies);
        var query = new MeshQuery(client, istioNamespace);
        var found = new List<ProxyTrust>();
        foreach (var some in asked.Chunk(AtOnce)) found.AddRange((await Task.WhenAll(some.Select(pod => ProxyAsync(query, pod, stop)))).OfType<ProxyTrust>());
        return found.ToValueList();
    }

    /// <summary>What a proxy trusts; null when it does not respond. Proxy health is not checked here.</summary>
    private static async Task<ProxyTrust?> ProxyAsync(MeshQuery query, JsonObject pod, CancellationToken stop)
    {
        var (ns, name) = (pod["metadata"]!["namespace"]!.ToString(), pod["metadata"]!["name"]!.ToString());
        try
        {
            var dump = new ConfigDump(await query.AskProxyAsync(ns, name, "config_dump", stop));
            var root = dump.Secrets.Select(entry => entry.Secret).FirstOrDefault(secret => secret["name"]?.ToString() == "ROOTCA");
            var bytes = ConfigDump.At(root, "validation_context", "trusted_ca", "inline_bytes")?.ToString() ?? "";
            return new(ns, name, Started(pod), Root.Of(Encoding.UTF8.GetString(Convert.FromBase64String(bytes))));
        }
        catch (Exception e) when (e is ProblemException or HttpRequestException or KubeException or FormatException)
        {
            return null;
        }
    }
}
