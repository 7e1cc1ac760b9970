using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing;

/// <summary>How a trace is made.</summary>
/// <param name="MakeCall">Whether to really make the call.</param>
/// <param name="Timeout">How long the call may take, up to <see cref="LongestCall"/>.</param>
public sealed record TraceRequest(string Pod, string? Namespace, TraceTarget Target, bool MakeCall, TimeSpan Timeout)
{
    /// <summary>How long proxies wait for a call at most.</summary>
    public static TimeSpan LongestCall => CallQuestion.Longest;

    /// <summary>What precedes the Service of the gateway at which a call from outside enters.</summary>
    internal const string EntryPrefix = "gateway/";

    /// <summary>The most calls that one trace makes.</summary>
    public const int MostCalls = 100;

    /// <summary>What the caller sends.</summary>
    public SentRequest Sent { get; init; } = SentRequest.Plain;

    /// <summary>How many calls to make, up to <see cref="MostCalls"/>; 0 for one, and some more after an error that one Pod of several may answer
    /// with.</summary>
    public int Calls { get; init; }

    /// <summary>Whether the call comes from outside, and enters at a gateway.</summary>
    public bool IsEntry => Pod.StartsWith(EntryPrefix, StringComparison.Ordinal);
}

/// <summary>Fetches what a walk needs until it needs nothing more, and makes the call meanwhile.</summary>
/// <param name="clusters">The clusters of the mesh; the first is the caller's.</param>
public sealed class TraceRun(IReadOnlyList<ClusterAccess> clusters, string istioNamespace, TimeProvider time, Random random) : IDisposable
{
    /// <summary>Client, gateway, callee, and the destination of a route. If a walk needs more rounds, objects keep
    /// changing.</summary>
    private const int MostRounds = 8;

    /// <summary>How often the clusters are read, if the caller comes or goes meanwhile.</summary>
    private const int MostReads = 3;

    private readonly Dictionary<string, KubeClient> _clients = clusters.ToDictionary(access => access.Name, access => new KubeClient(access, "isthmus-trace"),
        StringComparer.Ordinal);

    private CallRun Calls => new(_clients, istioNamespace);

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    public async Task<CallTrace> RunAsync(TraceRequest request, CancellationToken stop)
    {
        var lists = Lists(stop);
        var facts = await ReadAsync(request, lists, stop);
        for (var reads = 1; facts is null && reads < MostReads; reads++)
        {
            // The caller came or went meanwhile, which the same lists do not show.
            lists = Lists(stop);
            facts = await ReadAsync(request, lists, stop);
        }
        if (facts is null)
            throw new ProblemException($"Pod {request.Pod} in {clusters[0].Name}", "was created or deleted while the cluster was read",
                "repeat the command when its workload is rolled out");
        var trace = await WalkAsync(facts, lists, request, stop);
        if (trace.Succeeds) return trace;
        var path = new CallPath(trace, facts);
        var history = await RecentChanges.AskAsync(facts, path, _clients, time, stop);
        return trace with { Changes = RecentChanges.For(trace, path, history).ToValueList(), At = time.GetUtcNow() };
    }

    /// <summary>The lists of each cluster, by its context.</summary>
    private Dictionary<string, ClusterLists> Lists(CancellationToken stop) =>
        _clients.ToDictionary(client => client.Key, client => new ClusterLists(client.Value, stop), StringComparer.Ordinal);

    /// <summary>What the clusters and the caller's proxy say; null if the caller is not among the Pods that were read.</summary>
    private async Task<TraceFacts?> ReadAsync(TraceRequest request, Dictionary<string, ClusterLists> lists, CancellationToken stop)
    {
        var home = clusters[0].Name;
        var host = request.Target.Host;
        var near = EntryOf(request)?.Namespace ?? new MeshQuery(_clients[home], istioNamespace).NamespaceOf(request.Pod, request.Namespace);
        var guess = !IPAddress.TryParse(host, out _) && host.Split('.') is { Length: > 1 } parts ? parts[1] : near;
        // Objects are read while the caller is looked up. Failures are in what is read.
        var reading = Task.WhenAll(clusters.Select(access => ClusterObjectsReader.ReadAsync(access.Name, lists[access.Name],
            istioNamespace, [near, istioNamespace, guess], stop)));
        var (entering, (ns, pod)) = EntryOf(request) is { } entry
            ? await EnterAsync(entry, lists[home], reading, stop)
            : ("", await ResolveAsync(request, home, stop));
        var client = new PodRef(home, ns, pod);
        var inspecting = pod.Length > 0 ? InspectAsync(client, host, stop) : Task.FromResult<(InspectReport?, string)>((null, ""));
        var objects = await reading;
        var facts = new TraceFacts(objects, client, request.Target, time.GetUtcNow())
        {
            Locality = await LocalityAsync(objects[0].Pods.FirstOrDefault(one => one.Metadata.Name == pod && one.Metadata.Namespace == ns), stop),
            Sent = request.Sent, TakenAt = clusters[0].StandIn?.TakenAt,
            Entry = entering.Length > 0 && objects[0].Service(ns, entering) is { } service ? new(objects[0], service) : null,
        };
        if (facts.Home.Error.Length > 0) throw Unread(facts.Home);
        if (pod.Length == 0) return facts;
        // The list of Pods and the look-up are two answers of a cluster that changes.
        if (!facts.Home.Pods.Any(one => one.Metadata.Name == pod && one.Metadata.Namespace == ns)) return null;
        if (facts.Entry is null && ClusterObjects.IsGateway(facts.ClientPod)) throw NoCaller(facts, request);
        if (ClusterObjects.Sidecar(facts.ClientPod) is not null) Take(facts, client, await inspecting);
        return facts;
    }

    private static ProblemException Unread(ClusterObjects cluster) => new($"cluster {cluster.Context}", cluster.Error,
        cluster.AccessRemedy is not { } refusal ? ""
        : $"{refusal}. Also for a call within one namespace, trace lists {ClusterObjectsReader.Needed} of all namespaces, and creates pods/portforward of the "
            + "Pods on the way");

    /// <summary>Null when the Node may not be read, or the Pod has none yet.</summary>
    private async Task<Locality?> LocalityAsync(Pod? pod, CancellationToken stop)
    {
        if (pod is null) return null;
        if (Locality.OfLabels(pod.Metadata.Labels.ToValueMap()) is { } own) return own;
        try
        {
            return pod.Spec.NodeName.Length > 0 && await _clients[clusters[0].Name].FindAsync(Kinds.Node, null, pod.Spec.NodeName, stop) is { } node
                ? new(Label(Labels.Region), Label(Labels.Zone), Label(Labels.Subzone)) : null;

            string Label(string name) => node["metadata"]?["labels"]?[name]?.ToString() ?? "";
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>Nothing redirects what a gateway sends to its own proxy, so no call of a gateway could be followed as that of an application is.</summary>
    private static ProblemException NoCaller(TraceFacts facts, TraceRequest request)
    {
        var service = facts.Home.Services.FirstOrDefault(one =>
            one.Metadata.Namespace == facts.Client.Namespace && facts.Home.Behind(one).Contains(facts.ClientPod));
        var to = request.Target;
        return new($"{facts.Client}", "is a gateway, which passes on what others call, and calls nothing itself",
            "to follow a call from outside that enters there: isthmus trace "
                + $"{TraceRequest.EntryPrefix}{service?.Metadata.Name ?? "SERVICE"}.{facts.Client.Namespace} "
                + $"{(to.Scheme.Length > 0 ? $"{to.Scheme}://" : "")}{to.Host}{(to.Port > 0 ? $":{to.Port}" : "")}{to.Path}");
    }

    /// <summary>The Service of a gateway that is named in place of a caller; null when a Pod is.</summary>
    private (string Namespace, string Name)? EntryOf(TraceRequest request)
    {
        if (!request.IsEntry) return null;
        var name = request.Pod[TraceRequest.EntryPrefix.Length..];
        return name.Split('.', 2) is [var bare, var ns] ? (ns, bare) : (request.Namespace ?? istioNamespace, name);
    }

    /// <summary>The Service that is named, or that of the Gateway of this name, and a Pod behind it, ready if one is; none: an empty name.</summary>
    private async Task<(string Service, (string Namespace, string Pod))> EnterAsync((string Namespace, string Name) entry, ClusterLists lists,
        Task<ClusterObjects[]> reading, CancellationToken stop)
    {
        var service = await lists.Client.FindAsync<Service>(Kinds.Service, entry.Namespace, entry.Name, stop)
            ?? ApiGatewayCauses.ServiceOf(entry.Namespace, entry.Name, (await reading)[0])
            ?? throw (ApiGatewayCauses.WithoutService(entry.Namespace, entry.Name, (await reading)[0]) is { } unserved ? new ProblemException(unserved)
                : new ProblemException($"Service {entry.Namespace}/{entry.Name} in {clusters[0].Name}",
                "does not exist, nor does a Gateway of the Gateway API with this name and a Service",
                $"name one of them as {TraceRequest.EntryPrefix}NAME.NAMESPACE; list Services with 'kubectl --context={clusters[0].Name} get services -A'"));
        var (name, ns) = (service.Metadata.Name, service.Metadata.Namespace);
        if (service.Spec.Selector.Count == 0) return (name, (ns, ""));
        var pods = await lists.SelectAsync<Pod>(MeshApi.Pod, ns, service.Spec.Selector, stop);
        return (name, (ns,
            pods.Where(pod => pod.Metadata.DeletionTimestamp is null).OrderByDescending(pod => pod.Status.IsReady)
                .ThenBy(pod => !GatewayStrangers.IsGateway(pod)).ThenBy(pod => pod.Metadata.Name, StringComparer.Ordinal).FirstOrDefault()?.Metadata.Name
                ?? ""));
    }

    private async Task<CallTrace> WalkAsync(TraceFacts facts, Dictionary<string, ClusterLists> lists, TraceRequest request, CancellationToken stop)
    {
        List<AddressWalk> walks = [new AddressWalk(facts, random).Again()];
        for (var round = 0; round < MostRounds; round++)
        {
            if (walks.Count == 1) walks.AddRange(walks[0].Others());
            if (request.MakeCall && facts.TakenAt is null)
                foreach (var walk in walks.Where(walk => walk.Called is not null))
                    walk.Calling ??= Calls.MakeAsync(walk, walk.Id, request.Timeout, stop);
            if (walks.All(walk => walk.Walk.IsComplete)) break;
            await FetchAsync(facts, lists, walks, stop);
            walks.ForEach(walk => walk.Again());
        }
        var called = walks.Where(walk => walk.Calling is not null).ToList();
        await Task.WhenAll(called.Select(walk => SeeAsync(walk, request, stop)));
        called.ForEach(walk => walk.Again());
        // What an external authorizer was asked is a call of its own, which is known only now. Lists from before the calls may be old by now.
        lists = Lists(stop);
        for (var round = 0; round < MostRounds && !called.All(walk => walk.Walk.IsComplete); round++)
        {
            await FetchAsync(facts, lists, called, stop);
            called.ForEach(walk => walk.Again());
        }
        return AddressWalk.Worst(walks);
    }

    /// <summary>Waits for the call, and makes those that the request wants besides.</summary>
    private async Task SeeAsync(AddressWalk walk, TraceRequest request, CancellationToken stop)
    {
        if (await walk.Calling! is not { } answer || !await Calls.SeeAsync(walk, answer, stop)) return;
        await Calls.RepeatAsync(walk, request.Calls > 0 ? request.Calls - 1 : RepeatedCalls.Wanted(walk.Facts, walk.Called!), request.Timeout, stop);
        // Its proxy was read before the call: by now it may know what the application itself called for it, in vain.
        foreach (var callee in OnwardCalls.Asked(walk.Facts)) Take(walk.Facts, callee, await InspectAsync(callee, "", stop));
    }

    private async Task<(string Namespace, string Pod)> ResolveAsync(TraceRequest request, string home, CancellationToken stop)
    {
        try
        {
            return await new MeshQuery(_clients[home], istioNamespace).ResolvePodAsync(request.Pod, request.Namespace, stop);
        }
        catch (ProblemException e)
        {
            foreach (var other in clusters.Skip(1))
            {
                if (!await ExistsAsync(other.Name, request, stop)) continue;
                if (e is NoPodException)
                    throw new ProblemException(e.Problem.Object, e.Problem.Message,
                        $"{e.Problem.Remedy}; or follow the call from {other.Name}, where it has one: add --context={other.Name}", e);
                throw new ProblemException($"Pod {request.Pod}", $"is in {other.Name}, not in {home}", $"add --context={other.Name}", e);
            }
            throw;
        }
    }

    private async Task<bool> ExistsAsync(string context, TraceRequest request, CancellationToken stop)
    {
        try
        {
            await new MeshQuery(_clients[context], istioNamespace).ResolvePodAsync(request.Pod, request.Namespace, stop);
            return true;
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return false;
        }
    }

    private async Task FetchAsync(TraceFacts facts, Dictionary<string, ClusterLists> lists, IReadOnlyList<AddressWalk> walks, CancellationToken stop)
    {
        var (wanted, namespaces, contexts) = (walks.SelectMany(one => one.Walk.WantedProxies).Distinct(),
            walks.SelectMany(one => one.Walk.WantedNamespaces).Distinct().ToList(), walks.SelectMany(one => one.Walk.WantedWatches).Distinct());
        var proxies = wanted.Select(async pod => (pod, await InspectAsync(pod, "", stop))).ToList();
        var pods = facts.Clusters.Where(cluster => cluster.Error.Length == 0)
            .SelectMany(cluster => namespaces.Where(ns => !cluster.PodNamespaces.Contains(ns)).Select(async ns =>
            (cluster, ns, await ClusterObjectsReader.PodsAsync(lists[cluster.Context], ns, stop)))).ToList();
        var watches = contexts.Where(context => !facts.Watched.ContainsKey(context))
            .Select(async context => (context, await WatchedAsync(facts, context, stop), await UnlabelledAsync(facts, lists, context, stop),
                await MisplacedAsync(facts, lists, context, stop))).ToList();
        var holders = walks.SelectMany(one => one.Walk.WantedHolders).Distinct().Select(async key => (key, await HeldAsync(key, stop))).ToList();
        var checks = walks.SelectMany(one => one.Walk.WantedChecks).Distinct().Select(async pod =>
            (pod, await KubeletWords.OfAsync(_clients[pod.Context], pod.Namespace, pod.Name, stop))).ToList();
        var syncs = walks.SelectMany(one => one.Walk.WantedSyncs).Distinct().Select(async pod => (pod, await FollowsAsync(facts, pod, stop))).ToList();
        var places = walks.SelectMany(one => one.Walk.WantedPlaces).Distinct()
            .Select(async address => (address, await PlaceAsync(lists[clusters[0].Name], address, stop))).ToList();
        foreach (var (address, place) in await Task.WhenAll(places)) facts.Places[address] = place;
        foreach (var (pod, said) in await Task.WhenAll(checks))
        {
            var cluster = facts.Clusters.First(cluster => cluster.Context == pod.Context);
            cluster.AddCheck($"{pod.Namespace}/{pod.Name}", said);
            if (cluster.Pods.FirstOrDefault(one => PodRef.Of(cluster, one) == pod) is { } unready && UnplacedPods.NeedNodes(unready))
                cluster.Nodes = await NodesAsync(lists[cluster.Context], stop);
        }
        foreach (var (pod, answer) in await Task.WhenAll(proxies)) Take(facts, pod, answer);
        foreach (var (cluster, ns, found) in await Task.WhenAll(pods)) cluster.AddPods(ns, found);
        foreach (var (context, watched, unlabelled, misplaced) in await Task.WhenAll(watches))
            (facts.Watched[context], facts.Unlabelled[context], facts.Misplaced[context]) = (watched, unlabelled, misplaced);
        foreach (var (key, held) in await Task.WhenAll(holders)) facts.Holders[key] = held;
        foreach (var (pod, follows) in await Task.WhenAll(syncs)) facts.Following[pod] = follows;
    }

    /// <summary>Whoever may not read Secrets, or ask who may, learns nothing of them.</summary>
    private async Task<TracedHolder> HeldAsync(HolderRef key, CancellationToken stop)
    {
        var client = _clients[key.Context];
        try
        {
            if (key.Kind == Kinds.ServiceAccount.Kind)
                return TracedHolder.Of(AccessReview.Allows(await client.CreateAsync(Kinds.SubjectAccessReview,
                    AccessReview.OfList(key.Namespace, key.Name, "", Kinds.Secret.Plural, key.Namespace), stop)));
            return key.Kind == "ConfigMap" ? TracedHolder.Of(await client.FindAsync<ConfigMap>(Kinds.ConfigMap, key.Namespace, key.Name, stop))
                : TracedHolder.Of(await client.FindAsync<Secret>(Kinds.Secret, key.Namespace, key.Name, stop));
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return TracedHolder.Unreadable;
        }
    }

    /// <summary>None where nobody may read them.</summary>
    private static async Task<IReadOnlyList<Node>> NodesAsync(ClusterLists lists, CancellationToken stop)
    {
        try
        {
            return await lists.ListAsync<Node>(MeshApi.Node, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return [];
        }
    }

    /// <summary>Whose address it is in the caller's cluster, and in which range.</summary>
    private static async Task<AddressPlace> PlaceAsync(ClusterLists lists, IPAddress address, CancellationToken stop)
    {
        try
        {
            var pods = await lists.Client.ListAllAsync<Pod>(Kinds.Pod, null, new() { FieldSelector = $"status.podIP={address}" }, stop);
            if (pods.Any(pod => pod.Status.PodIP == address.ToString() && pod.Status.Phase is "Running" or "Pending")) return AddressPlace.Unknown;
            return new(await RangeAsync(lists, address, stop), false);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return AddressPlace.Unknown;
        }
    }

    /// <summary>The range of Pods with an address, and its Node; empty where none has it, or nobody may read Nodes.</summary>
    private static async Task<string> RangeAsync(ClusterLists lists, IPAddress address, CancellationToken stop)
    {
        try
        {
            var nodes = await lists.ListAsync<Node>(MeshApi.Node, stop);
            return nodes.FirstOrDefault(one => Cidr.TryParse(one.Spec.PodCIDR, out var range) && range.Contains(address)) is { } node
                ? $"{node.Spec.PodCIDR}, Node {node.Metadata.Name}" : "";
        }
        catch (KubeException)
        {
            return "";
        }
    }

    private void Take(TraceFacts facts, PodRef pod, (InspectReport? Answer, string Error) found)
    {
        if (found.Answer is { } answer) facts.Proxies[pod] = ProxyView.Read(answer, time, random);
        else facts.Silent[pod] = found.Error;
    }

    /// <summary>Everything that a proxy reports. A proxy with only Envoy's admin interface reports less.</summary>
    private async Task<(InspectReport? Answer, string Error)> InspectAsync(PodRef pod, string host, CancellationToken stop)
    {
        try
        {
            return (await new MeshQuery(_clients[pod.Context], istioNamespace).InspectAsync(pod.Namespace, pod.Name, $"host={Uri.EscapeDataString(host)}",
                stop), "");
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return (null, e.Message);
        }
    }

    private Task<ValueList<UnlabelledSecret>> UnlabelledAsync(TraceFacts facts, Dictionary<string, ClusterLists> lists, string context,
        CancellationToken stop) =>
        facts.ControlPlanesOf(facts.Clusters.First(cluster => cluster.Context == context)) is [var plane, ..]
            ? UnlabelledSecret.ReadAsync(lists[plane.At.Context], plane.Namespace, stop) : Task.FromResult(default(ValueList<UnlabelledSecret>));

    private Task<ValueList<MisplacedSecret>> MisplacedAsync(TraceFacts facts, Dictionary<string, ClusterLists> lists, string context,
        CancellationToken stop) =>
        facts.ControlPlanesOf(facts.Clusters.First(cluster => cluster.Context == context)) is [var plane, ..]
            ? MisplacedSecret.ReadAsync(lists[plane.At.Context], plane.Namespace, stop) : Task.FromResult(default(ValueList<MisplacedSecret>));

    /// <summary>Whether a proxy has all that its control planes have for it; null when they cannot be asked.</summary>
    private async Task<bool?> FollowsAsync(TraceFacts facts, PodRef pod, CancellationToken stop)
    {
        bool? follows = null;
        foreach (var plane in facts.ControlPlanesOf(facts.Clusters.First(cluster => cluster.Context == pod.Context)))
        {
            try
            {
                var of = await new MeshQuery(_clients[plane.At.Context], plane.Namespace).FollowsAsync($"{pod.Name}.{pod.Namespace}", stop);
                if (of == true) return true;
                follows ??= of;
            }
            catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
            {
                // The proxy may be connected to the one that does not answer.
                return null;
            }
        }
        return follows;
    }

    private async Task<IReadOnlyList<WatchedCluster>> WatchedAsync(TraceFacts facts, string context, CancellationToken stop)
    {
        try
        {
            var plane = facts.ControlPlanesOf(facts.Clusters.First(cluster => cluster.Context == context))[0];
            var watched = await new MeshQuery(_clients[plane.At.Context], plane.Namespace).WatchedAsync(stop);
            if (watched.IsKnown) return watched.Lines;
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            // As one that does not tell.
        }
        // Nothing is known about clusters then, which is not the same as watching none.
        return [.. facts.Clusters.Select(cluster => new WatchedCluster(cluster.Id, "", "synced", ""))];
    }
}
