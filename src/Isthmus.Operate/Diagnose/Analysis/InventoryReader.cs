using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Render;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Reads the objects to analyze from API servers. It changes nothing.</summary>
/// <param name="proxies">How many proxies of each cluster to ask what they trust; 0 for none, and no control plane either.</param>
public sealed class InventoryReader(string istioNamespace, int proxies)
{
    private const int AtOnce = 8;

    /// <summary>A proxy may be frozen.</summary>
    private static readonly TimeSpan ProxyPatience = TimeSpan.FromSeconds(5);

    /// <summary>Whether to read the certificates, too, with a handshake with each control plane.</summary>
    public bool Certificates { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The kinds of which all objects are read.</summary>
    internal static readonly IReadOnlyList<KindDescriptor> Lists = [.. MeshApi.For(KindUse.Analysis | KindUse.AnalysisIfAllowed)];

    /// <summary>What events say of refused Pods, the settings of control planes, and the roots in all namespaces.</summary>
    internal const string RefusalsField = "reason=FailedCreate", SettingsLabel = $"{ObjectLabels.Component}=Pilot",
        RootsField = $"metadata.name={WellKnown.RootCertConfigMap}";

    public async Task<ClusterInventory> ReadAsync(string context, ClusterAccess access, CancellationToken stop)
    {
        using var client = new KubeClient(access, "isthmus-analyze") { RequestTimeout = TimeSpan.FromSeconds(10) };
        return await ReadAsync(context, client, stop);
    }

    /// <summary>The same with a client of the caller's, whose connections stay open for the next time.</summary>
    public Task<ClusterInventory> ReadAsync(string context, KubeClient client, CancellationToken stop) =>
        ReadAsync(context, new ClusterLists(client, stop), stop);

    /// <summary>The same with lists that others read, too.</summary>
    public async Task<ClusterInventory> ReadAsync(string context, ClusterLists lists, CancellationToken stop)
    {
        try
        {
            return await ReadObjectsAsync(context, lists, stop);
        }
        catch (HttpRequestException e)
        {
            return ClusterInventory.Unreadable(context, $"{lists.Client.Access.Server} cannot be reached: {Unreachable.Describe(e)}");
        }
        catch (KubeException e)
        {
            return ClusterInventory.Unreadable(context, e.Message, e.Code);
        }
    }

    private async Task<ClusterInventory> ReadObjectsAsync(string context, ClusterLists lists, CancellationToken stop)
    {
        var client = lists.Client;
        // What does not depend on another answer is asked at once: API servers of other regions are far away.
        var listing = Lists.Select(kind => (Kind: kind, Objects: ListAsync(lists, kind, stop))).ToList();
        var (dns, settings) = (client.FindAsync(Kinds.ConfigMap, "kube-system", "coredns", stop), SettingsAsync(client, stop));
        var (defining, reaching, losing) = (DefinitionsAsync(client, stop), RemotesAsync(lists, stop), UnlabelledSecret.ReadAsync(lists, istioNamespace, stop));
        var (refusing, misplaced) = (RefusalsAsync(client, stop), MisplacedSecret.ReadAsync(lists, istioNamespace, stop));
        var rooting = client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, null, new ListOptions { FieldSelector = RootsField }, stop);
        var asking = ProxiesAsync(client, listing.First(list => list.Kind == MeshApi.Pod).Objects, stop);
        var (trust, reports) = (TrustAsync(client, listing.First(list => list.Kind == MeshApi.Pod).Objects, rooting, asking, stop),
            proxies > 0 ? ReportsAsync(client, stop) : Task.FromResult(default(ValueList<Problem>)));
        var answers = await Task.WhenAll(listing.Select(list => list.Objects));
        var objects = answers.SelectMany(list => list ?? []).ToList();
        var unread = Lists.Zip(answers).Where(pair => pair.Second is null).Select(pair => pair.First.Name).ToHashSet(StringComparer.Ordinal);
        if (await dns is { } map) objects.Add(Typed(map, Kinds.ConfigMap));
        objects.AddRange(await settings);
        objects.AddRange(await defining);
        var named = await NamedAsync(client, ClusterInventory.From(context, objects), stop);
        objects.AddRange(named.Select(map => map.Found).OfType<JsonObject>().Select(map => Typed(map, Kinds.ConfigMap)));
        if (named.Any(map => !map.IsAllowed)) unread.Add(MeshApi.ConfigMap.Name);
        var cluster = ClusterInventory.From(context, objects, await trust, istioNamespace, unread);
        var read = cluster.WithCredentials(await CredentialsAsync(client, cluster, stop)).WithSecrets(await SecretsAsync(client, cluster,
            stop)).WithReports(await reports).WithUnlabelledSecrets(await losing, await misplaced).WithRefusals(await refusing)
            .WithUndefined(await UndefinedAsync(lists, stop));
        var server = MeshFactsReader.ServerOf(client);
        var known = await SeenAsync(client, await reaching, stop) is { } remotes ? read.WithRemoteSecrets(remotes, server) : read.WithoutRemoteSecrets(server);
        if (!Certificates || !known.Namespaces.Any(ns => ns.Metadata.Name == istioNamespace)) return known;
        var now = Time.GetUtcNow();
        var roots = (await rooting).FirstOrDefault(map => map.Metadata.Namespace == istioNamespace);
        return known.WithCertificates(await new CertificateReader(client, istioNamespace, now).ReadAsync(known, roots, await asking, stop), now);
    }

    /// <summary>What control planes know of running proxies and objects do not tell; empty when none responds. Their health is not checked here.</summary>
    private async Task<ValueList<Problem>> ReportsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return (await new MeshQuery(client, istioNamespace).ProblemsAsync(stop))
                .Where(problem => ReportedProblems.Has(problem.Code)).ToValueList();
        }
        catch (Exception e) when (e is ProblemException or HttpRequestException or KubeException)
        {
            return [];
        }
    }

    /// <summary>The same remote secrets with where they lead, as control planes say that use them. Where the user may not read them, those of which control
    /// planes say that they use them; null when nobody says it.</summary>
    private async Task<ValueList<RemoteSecretFacts>?> SeenAsync(KubeClient client, ValueList<RemoteSecretFacts>? secrets, CancellationToken stop)
    {
        if (proxies == 0 || secrets is { IsEmpty: true }) return secrets;
        try
        {
            var answer = await new MeshQuery(client, istioNamespace).WatchedAsync(stop);
            var watched = answer.Lines;
            return secrets is not { } read ? !answer.IsKnown ? null
                : watched.Select(line => new RemoteSecretFacts(line.Secret, line.Id, "", null, "") { Uid = line.Uid }).ToValueList()
                : read.Select(entry => entry with
            {
                Uid = watched.FirstOrDefault(line => line.Secret == entry.Secret && line.Id == entry.Cluster)?.Uid ?? "",
            }).ToValueList();
        }
        catch (Exception e) when (e is ProblemException or HttpRequestException or KubeException)
        {
            return secrets;
        }
    }

    /// <summary>The settings of the mesh and of its injectors, of each revision.</summary>
    private async Task<IEnumerable<JsonObject>> SettingsAsync(KubeClient client, CancellationToken stop)
    {
        var (labelled, plain) = (client.ListAllAsync<JsonObject>(Kinds.ConfigMap, istioNamespace, new ListOptions { LabelSelector = SettingsLabel }, stop),
            client.FindAsync(Kinds.ConfigMap, istioNamespace, "istio", stop));
        var maps = (await labelled).Append(await plain).OfType<JsonObject>();
        return maps.Where(map => map["data"]?["mesh"] is not null || ProxyImages.IsOfInjector(map)).DistinctBy(map => map["metadata"]?["name"]?.ToString())
            .Select(map => Typed(map, Kinds.ConfigMap));
    }

    /// <summary>The definitions of the Gateway API whose version is checked, without their schemas, which nobody here reads.</summary>
    private static async Task<IEnumerable<JsonObject>> DefinitionsAsync(KubeClient client, CancellationToken stop)
    {
        var found = await Task.WhenAll(GatewayApiDefinitions.Names.Select(name =>
            IfAllowedAsync(() => client.FindAsync<JsonObject>(Kinds.CustomResourceDefinition, null, name, stop))));
        var definitions = found.Select(one => one.Found).OfType<JsonObject>().Select(one => Typed(one, Kinds.CustomResourceDefinition)).ToList();
        foreach (var version in definitions.SelectMany(one => one["spec"]?["versions"] as JsonArray ?? []).OfType<JsonObject>()) version.Remove("schema");
        return definitions;
    }

    /// <summary>The remote secrets; null for users who may not read them.</summary>
    private async Task<ValueList<RemoteSecretFacts>?> RemotesAsync(ClusterLists lists, CancellationToken stop)
    {
        try
        {
            var secrets = await lists.SelectAsync<Secret>(MeshApi.Secret, istioNamespace, Labels.MultiCluster, "true", stop);
            return secrets.OrderBy(secret => secret.Metadata.Name, StringComparer.Ordinal).SelectMany(secret => SecretFacts.Of(secret).Remote).ToValueList();
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            return null;
        }
        catch (KubeException e) when (e.Code == 404)
        {
            return default(ValueList<RemoteSecretFacts>);
        }
    }

    /// <summary>StatefulSets and DaemonSets have no condition that says why their Pods are not made.</summary>
    private static async Task<ValueMap<string>> RefusalsAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return Refusals(await client.ListAllAsync<JsonObject>(Kinds.Event, null, new() { FieldSelector = RefusalsField }, stop));
        }
        catch (KubeException)
        {
            return default;
        }
    }

    /// <summary>What events said last.</summary>
    internal static ValueMap<string> Refusals(IEnumerable<JsonObject> events) =>
        (from one in events
         let about = one["involvedObject"]
         where about?["kind"]?.ToString() is "StatefulSet" or "DaemonSet" && one["reason"]?.ToString() == "FailedCreate"
         orderby one["lastTimestamp"]?.ToString() ?? "" descending
         group one["message"]?.ToString() ?? "" by $"{about!["kind"]} {about["namespace"]}/{about["name"]}")
        .Select(group => KeyValuePair.Create(group.Key, group.First())).ToValueMap();

    /// <summary>The ConfigMaps that objects of the Gateway API name.</summary>
    private static Task<(bool IsAllowed, JsonObject? Found)[]> NamedAsync(KubeClient client, ClusterInventory cluster, CancellationToken stop) =>
        Task.WhenAll(GatewayApiReferences.ConfigMaps(cluster).Select(map =>
            IfAllowedAsync(() => client.FindAsync(Kinds.ConfigMap, map.Namespace, map.Name, stop))));

    /// <summary>What Secrets hold that objects of the Gateway API name.</summary>
    private static async Task<ValueMap<KnownSecret>> SecretsAsync(KubeClient client, ClusterInventory cluster, CancellationToken stop)
    {
        var read = await Task.WhenAll(GatewayApiReferences.Secrets(cluster).Select(async secret =>
            (Key: $"{secret.Namespace}/{secret.Name}",
                Answer: await IfAllowedAsync(() => client.FindAsync<Secret>(Kinds.Secret, secret.Namespace, secret.Name, stop)))));
        return read.Where(secret => secret.Answer.IsAllowed).Select(secret =>
            KeyValuePair.Create(secret.Key, SecretReading.Of(secret.Answer.Found))).ToValueMap();
    }

    private static async Task<(bool IsAllowed, T? Found)> IfAllowedAsync<T>(Func<Task<T?>> find) where T : class
    {
        try
        {
            return (true, await find());
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return (false, null);
        }
    }

    private static async Task<ValueMap<string>> CredentialsAsync(KubeClient client, ClusterInventory cluster, CancellationToken stop)
    {
        var references = CredentialReferences.Of(cluster).ToList();
        var found = await Task.WhenAll(
        [
            .. references.DistinctBy(reference => reference.Key)
                .Select(async reference => (reference.Key, Problem: await ProblemAsync(client, reference, stop))),
            .. references.Where(reference => reference.Own.Length > 0).Select(reference => reference with { Namespace = reference.Own, ChecksClients = false })
                .DistinctBy(reference => reference.Key).ExceptBy(references.Select(reference => reference.Key), reference => reference.Key)
                .Select(async reference => (reference.Key, Problem: await ProblemAsync(client, reference, stop))),
            .. references.SelectMany(reference => reference.Accounts,
                (reference, account) => (Key: reference.KeyOf(account), reference.Namespace, Account: account))
                .DistinctBy(one => one.Key)
                .Select(async one => (one.Key, Problem: await DenialAsync(client, one.Namespace, one.Account, stop))),
        ]);
        return found.Where(one => one.Problem is not null).ToDictionary(one => one.Key, one => one.Problem!, StringComparer.Ordinal).ToValueMap();
    }

    /// <summary>What is wrong with a Secret; empty when nothing is. Null if it may not be read: then there is no finding about it.</summary>
    private static async Task<string?> ProblemAsync(KubeClient client, CredentialReference reference, CancellationToken stop)
    {
        try
        {
            var own = await FindAsync(client, reference.Namespace, reference.Name, stop);
            var ca = reference.ChecksClients && own is { HasClientCa: false }
                ? await FindAsync(client, reference.Namespace, $"{reference.Name}{SecretFacts.CaSuffix}", stop)
                : null;
            return SecretFacts.Problem(own, ca, reference.ChecksClients);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return null;
        }
    }

    /// <summary>Why an account may not list the Secrets of its namespace; empty when it may. Null if the API server does not say.</summary>
    private static async Task<string?> DenialAsync(KubeClient client, string ns, string account, CancellationToken stop)
    {
        try
        {
            var review = await client.CreateAsync(Kinds.SubjectAccessReview, AccessReview.OfList(ns, account, "", Kinds.Secret.Plural, ns), stop);
            return AccessReview.Allows(review) ? "" : "it may not list Secrets there";
        }
        catch (KubeException)
        {
            return null;
        }
    }

    private static async Task<SecretFacts?> FindAsync(KubeClient client, string ns, string name, CancellationToken stop) =>
        await client.FindAsync<Secret>(Kinds.Secret, ns, name, stop) is { } secret ? SecretFacts.Of(secret) : null;

    /// <summary>The kinds of <see cref="Lists"/> that the cluster does not define.</summary>
    private static async Task<ValueList<string>> UndefinedAsync(ClusterLists lists, CancellationToken stop)
    {
        var defined = await Task.WhenAll(Lists.Select(async kind =>
        {
            try
            {
                await lists.ListAsync(kind, stop); // It was read before.
                return true;
            }
            catch (KubeException e)
            {
                return !e.IsNotFound;
            }
        }));
        return Lists.Zip(defined).Where(kind => !kind.Second).Select(kind => kind.First.Name).ToValueList();
    }

    /// <summary>Null if they may not be read.</summary>
    private static async Task<IReadOnlyList<JsonObject>?> ListAsync(ClusterLists lists, KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await lists.ListIfDefinedAsync(kind, stop);
        }
        catch (KubeException e) when (e.Code == 403 && kind.Has(KindUse.AnalysisIfAllowed))
        {
            return null; // Roles for Istio need not include it: without it, some analyzers are skipped.
        }
    }

    /// <summary>Items of a list lack apiVersion and kind.</summary>
    private static JsonObject Typed(JsonObject value, ResourceKind kind)
    {
        value["apiVersion"] ??= kind.ApiVersion;
        value["kind"] ??= kind.Kind;
        return value;
    }

    /// <param name="listing">The Pods of the cluster.</param>
    /// <param name="rooting">The roots in all namespaces.</param>
    /// <param name="asking">What proxies trust.</param>
    private async Task<TrustFacts> TrustAsync(KubeClient client, Task<IReadOnlyList<JsonObject>?> listing, Task<IReadOnlyList<ConfigMap>> rooting,
        Task<IReadOnlyList<ProxySecrets>> asking, CancellationToken stop)
    {
        var (ns, deploying) = (client.FindAsync<Namespace>(Kinds.Namespace, null, istioNamespace, stop),
            client.ListAllAsync<Deployment>(Kinds.Deployment, istioNamespace, new ListOptions { LabelSelector = "app=istiod" }, stop));
        var (giving, signing) = (SecretAsync(client, WellKnown.CaCerts, stop), SecretAsync(client, WellKnown.SelfSignedCa, stop));
        var configuring = SecretAsync(client, WellKnown.ConfigSecret, stop);
        if (await ns is null) return TrustFacts.None;
        var roots = (await rooting)
            .ToDictionary(map => map.Metadata.Namespace, map => Root.Of(map.Data.GetValueOrDefault(WellKnown.RootCertKey)), StringComparer.Ordinal);
        var (given, own, deployments, pods) = (await giving, await signing, await deploying, await listing ?? []);
        var controlPlanes = pods.Where(pod => pod["metadata"]?["namespace"]?.ToString() == istioNamespace
            && pod["metadata"]?["labels"]?["app"]?.ToString() == "istiod");
        return new(true,
            given?.GivenRoot ?? Root.None, given?.CreatedAt, own?.OwnRoot ?? Root.None, own?.CreatedAt,
            roots.GetValueOrDefault(istioNamespace), deployments.Select(deployment => deployment.Metadata.CreationTimestamp).Min(),
            controlPlanes.Select(Started).Min(),
            roots.Where(root => root.Key != istioNamespace && root.Value.IsKnown).ToValueMap(),
            (await asking).Select(proxy => proxy.Trust).OfType<ProxyTrust>().ToValueList())
        {
            ServesElsewhere = await configuring is not null && deployments.Count > 0
        };
    }

    /// <summary>A Secret of the control plane; null when there is none, or when nobody may read it. The roots in use are in ConfigMaps.</summary>
    private async Task<SecretFacts?> SecretAsync(KubeClient client, string name, CancellationToken stop)
    {
        try
        {
            return await FindAsync(client, istioNamespace, name, stop);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return null;
        }
    }

    private static DateTimeOffset? Started(JsonObject pod) => DateTimeOffset.TryParse(pod["status"]?["startTime"]?.ToString(), out var time) ? time : null;

    private async Task<IReadOnlyList<ProxySecrets>> ProxiesAsync(KubeClient client, Task<IReadOnlyList<JsonObject>?> listing, CancellationToken stop)
    {
        var asked = (await listing ?? []).Where(pod => pod["metadata"]?["deletionTimestamp"] is null && pod["status"]?["phase"]?.ToString() == "Running"
            && ((string[])["containers", "initContainers"])
                .Any(list => (pod["spec"]?[list] as JsonArray ?? []).Any(container => container?["name"]?.ToString() == "istio-proxy")))
            .Take(proxies);
        var query = new MeshQuery(client, istioNamespace);
        var found = new List<ProxySecrets>();
        foreach (var some in asked.Chunk(AtOnce)) found.AddRange(await Task.WhenAll(some.Select(pod => ProxyAsync(query, pod, stop))));
        return found;
    }

    /// <summary>What a proxy has and trusts. Its health is not checked here.</summary>
    private static async Task<ProxySecrets> ProxyAsync(MeshQuery query, JsonObject pod, CancellationToken stop)
    {
        var containers = ((string[])["containers", "initContainers"]).SelectMany(list => pod["spec"]?[list] as JsonArray ?? []);
        var isGateway = containers.Any(container => container?["name"]?.ToString() == "istio-proxy"
            && (container["args"] as JsonArray ?? []).Any(word => word?.ToString() == "router"));
        var proxy = new ProxySecrets(pod["metadata"]!["namespace"]!.ToString(), pod["metadata"]!["name"]!.ToString(), Started(pod), isGateway, default, "");
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(ProxyPatience);
        try
        {
            return proxy with
            {
                Secrets = ProxySecrets.Read(new ConfigDump(await query.AskProxyAsync(proxy.Namespace, proxy.Pod, ConfigDump.SecretsPath, limited.Token)))
            };
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return proxy with { Error = $"no answer within {ProxyPatience.TotalSeconds:0} s" };
        }
        catch (Exception e) when (e is ProblemException or HttpRequestException or KubeException)
        {
            return proxy with { Error = e.Message };
        }
    }
}
