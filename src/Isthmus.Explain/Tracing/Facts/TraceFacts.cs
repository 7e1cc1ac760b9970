using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Proxy.Decisions;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>All inputs of a walk. The walk names what is missing, and is repeated with more facts.</summary>
internal sealed class TraceFacts(IReadOnlyList<ClusterObjects> clusters, PodRef client, TraceTarget target, DateTimeOffset now)
{
    /// <summary>The same facts, to follow another address of the name. What proxies and control planes say is found out once for all addresses.</summary>
    public TraceFacts At(IPAddress address) =>
        new(Clusters, Client, Target, Now)
        {
            Sent = Sent, Entry = Entry, TakenAt = TakenAt, Locality = Locality, Proxies = Proxies, Silent = Silent, Watched = Watched,
            Unlabelled = Unlabelled, Misplaced = Misplaced, Holders = Holders, Following = Following, Places = Places, Address = address,
        };

    /// <summary>The same facts for a gateway to which the call comes from within the mesh, as if it had come from outside.</summary>
    /// <param name="gateway">The Pod of the gateway.</param>
    /// <param name="entry">Its Service.</param>
    /// <param name="request">The request that comes there; null for a connection without one.</param>
    public TraceFacts Beyond(PodRef gateway, ServiceInCluster entry, AskedRequest? request)
    {
        var named = request?.Authority ?? "";
        return new(Clusters, gateway, request is null ? Target : Target with { Host = named.Split(':')[0].TrimEnd('.').ToLowerInvariant() }, Now)
        {
            Sent = request is null ? Sent : Sent with { Headers = [.. Sent.Headers.Where(header => header.Name != "host"), new("host", named)] },
            Entry = entry, From = From ?? Client, TakenAt = TakenAt, Proxies = Proxies, Silent = Silent, Watched = Watched, Unlabelled = Unlabelled,
            Misplaced = Misplaced, Holders = Holders, Following = Following, Places = Places, Call = Call, NotMade = NotMade, Sightings = Sightings,
        };
    }

    /// <summary>The same facts for what the proxy of a Pod asks on its own account, because of the call.</summary>
    public TraceFacts Asking(PodRef asker, TraceTarget target, SentRequest sent) =>
        new(Clusters, asker, target, Now)
        {
            Sent = sent, TakenAt = TakenAt, Proxies = Proxies, Silent = Silent, Watched = Watched, Unlabelled = Unlabelled, Misplaced = Misplaced,
            Holders = Holders, Following = Following, Places = Places,
        };

    public IReadOnlyList<ClusterObjects> Clusters { get; } = clusters;

    public PodRef Client { get; } = client;

    public TraceTarget Target { get; } = target;

    public DateTimeOffset Now { get; } = now;

    /// <summary>What the caller sends.</summary>
    public SentRequest Sent { get; init; } = SentRequest.Plain;

    /// <summary>The Service of the gateway at which a call from outside enters: <see cref="Client"/> is a Pod behind it. Null when a Pod makes the
    /// call.</summary>
    public ServiceInCluster? Entry { get; init; }

    /// <summary>The Pod of the mesh that calls the gateway at which the call enters; null when it comes from outside, or enters at none.</summary>
    public PodRef? From { get; private init; }

    /// <summary>When the snapshot was taken that stands in for the clusters, which makes no calls; null when the clusters themselves answer.</summary>
    public DateTimeOffset? TakenAt { get; init; }

    /// <summary>Where the caller is; null when that is not known.</summary>
    public Locality? Locality { get; init; }

    /// <summary>Which address of the name to follow; null for the first.</summary>
    public IPAddress? Address { get; private init; }

    /// <summary>Proxies that responded.</summary>
    public Dictionary<PodRef, ProxyView> Proxies { get; private init; } = [];

    /// <summary>Proxies that did not respond, and why.</summary>
    public Dictionary<PodRef, string> Silent { get; private init; } = [];

    /// <summary>What the control planes of a cluster watch, by the cluster's context. A cluster without a control plane has
    /// no entry.</summary>
    public Dictionary<string, IReadOnlyList<WatchedCluster>> Watched { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>Remote secrets beside what is watched that control planes do not read, by the same contexts.</summary>
    public Dictionary<string, IReadOnlyList<UnlabelledSecret>> Unlabelled { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The same of those in namespaces where control planes do not look.</summary>
    public Dictionary<string, IReadOnlyList<MisplacedSecret>> Misplaced { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>Secrets and ConfigMaps that were looked at.</summary>
    public Dictionary<HolderRef, TracedHolder> Holders { get; private init; } = [];

    /// <summary>Addresses of the caller's cluster that were looked up, because nothing in what was read has them.</summary>
    public Dictionary<IPAddress, AddressPlace> Places { get; private init; } = [];

    /// <summary>Whether proxies have all that their control plane has for them; null where nobody can tell.</summary>
    public Dictionary<PodRef, bool?> Following { get; private init; } = [];

    /// <summary>The call that was made; null when no call was made.</summary>
    public MadeCall? Call { get; set; }

    /// <summary>Why the caller's proxy did not make the call; empty when it did, or was not asked.</summary>
    public string NotMade { get; set; } = "";

    /// <summary>What each proxy saw of the call, by the address from which the previous proxy connected.</summary>
    public CallSightings Sightings { get; set; } = CallSightings.None;

    /// <summary>All calls that were made, <see cref="Call"/> among them; empty when there was one at most.</summary>
    public IReadOnlyList<CallOutcome> Outcomes { get; set; } = [];

    public ClusterObjects Home => Clusters.First(cluster => cluster.Context == Client.Context);

    /// <summary>Where the control plane of a cluster is, by its context.</summary>
    public string SystemNamespaceOf(string context) =>
        Clusters.FirstOrDefault(cluster => cluster.Context == context)?.SystemNamespace ?? WellKnown.SystemNamespace;

    public Pod ClientPod => Home.Pods.First(pod => pod.Metadata.Name == Client.Name && pod.Metadata.Namespace == Client.Namespace);

    /// <summary>A Pod among those that were read; null when it is not.</summary>
    public Pod? PodOf(PodRef pod) => Clusters.First(cluster => cluster.Context == pod.Context).Pods.FirstOrDefault(one =>
        one.Metadata.Name == pod.Name && one.Metadata.Namespace == pod.Namespace);

    /// <summary>The address of a Pod; empty when it is not known.</summary>
    public string AddressOf(PodRef pod) => PodOf(pod)?.Status.PodIP ?? "";

    /// <summary>Whether a Pod is one of a gateway.</summary>
    public bool IsGateway(PodRef pod) => PodOf(pod) is { } one && ClusterObjects.IsGateway(one);

    /// <summary>The mesh host that a name denotes for a Pod of a namespace; null when there is none.</summary>
    public MeshHost? Host(string name, string ns)
    {
        var suffix = $".svc.{WellKnown.DefaultDomainSuffix}";
        var bare = name.EndsWith(suffix, StringComparison.Ordinal)
            ? name[..^suffix.Length]
            : name.EndsWith(".svc", StringComparison.Ordinal)
            ? name[..^4]
            : name;
        var parts = bare.Split('.');
        if (parts.Length == 1) return ByName(parts[0], ns) ?? ByEntry(name);
        // Only the name of one of its Pods may precede a Service's name.
        return (parts.Length == 2 ? ByName(parts[0], parts[1]) ?? (ByName(parts[1], ns) is { } own && IsHeadless(own) ? own : null) : null)
            ?? (parts.Length == 3 ? ByName(parts[1], parts[2]) : null) ?? ByEntry(name);
    }

    /// <summary>The host that a proxy's cluster represents.</summary>
    public MeshHost? Host(string fqdn) => Host(fqdn, "");

    /// <summary>The control planes that proxies of a cluster may connect to: its own, one that runs elsewhere for it alone,
    /// or those of its primaries.</summary>
    public IReadOnlyList<ControlPlanePlace> ControlPlanesOf(ClusterObjects cluster)
    {
        if (cluster.ControlPlanes.Any(plane => plane.Namespace == cluster.SystemNamespace)) return [new(cluster, cluster, cluster.SystemNamespace)];
        var hosted = Clusters.Where(other => other != cluster)
            .SelectMany(other => other.ControlPlanes.Where(plane => plane.Namespace != other.SystemNamespace && plane.Cluster == cluster.Id)
            .Select(plane => new ControlPlanePlace(cluster, other, plane.Namespace))).Distinct().ToList();
        if (hosted.Count > 0) return hosted;
        var primaries = Clusters.Where(other => other.ControlPlanes.Any(plane => plane.Namespace == other.SystemNamespace)).ToList();
        var named = primaries.Where(other => cluster.NamedPrimaries.Contains(other.Id)).ToList();
        return [.. (named.Count > 0 ? named : primaries).Select(other => new ControlPlanePlace(other, other, other.SystemNamespace))];
    }

    /// <summary>The cluster whose Istio objects apply to a cluster; with several primaries, the first.</summary>
    public ClusterObjects ConfigOf(ClusterObjects cluster) => ControlPlanesOf(cluster) is [var first, ..] ? first.Config : cluster;

    /// <summary>The settings that the caller's control plane reads in the cluster where it runs.</summary>
    public MeshSettings Settings => MapOf(Home)?.Settings ?? MeshMap.Defaults;

    /// <summary>Those of the control plane of a cluster; where none is known, the caller's.</summary>
    public MeshSettings SettingsOf(ClusterObjects cluster) =>
        ControlPlanesOf(cluster).Count > 0 ? MapOf(cluster)?.Settings ?? MeshMap.Defaults : Settings;

    /// <summary>The ConfigMap with these settings, as problems name it; empty where no control plane is known.</summary>
    public string MapNameOf(ClusterObjects cluster) => ControlPlanesOf(cluster) is [var plane, ..]
        ? $"ConfigMap {plane.Namespace}/{plane.Map?.Name ?? "istio"} in {plane.At.Context}" : "";

    /// <summary>The object with these settings, which an operator can edit.</summary>
    public string MeshConfigOf(ClusterObjects cluster) => MapNameOf(cluster) is { Length: > 0 } map ? map : $"MeshConfig of {cluster.Context}";

    /// <summary>The path of a field of these settings.</summary>
    public static string MeshField(string field) => $"data.mesh.{field}";

    /// <summary>Whether these settings can be read: of what they lack, nothing can be said otherwise.</summary>
    public bool KnowsSettingsOf(ClusterObjects cluster) => MapOf(cluster) is not { IsReadable: false };

    /// <summary>The settings of the caller's control plane, if nobody can read them; null when they can be read.</summary>
    public Problem? UnreadableMap => MapOf(Home) is not { IsReadable: false } map ? null : Faults.Of("ISM2170", MapNameOf(Home), "data.mesh",
        $"cannot be read ({string.Join("; ", map.Problems.Select(problem => problem.Message.TrimEnd('.')))}): a control plane that starts has defaults "
            + "instead, such as no DNS capture, and one that ran before keeps what it had",
        $"correct it: kubectl --context={(ControlPlanesOf(Home) is [var plane, ..] ? plane.At.Context : Home.Context)} -n {map.Namespace} "
            + $"edit configmap {map.Name}; then restart the Pods that were made meanwhile");

    /// <summary>The name of the mesh in these settings; empty where they have none.</summary>
    public string MeshIdOf(ClusterObjects cluster) => MapOf(cluster)?.MeshId ?? "";

    /// <summary>The ConfigMap by which sidecars answer the DNS queries of applications, as problems name it; null: the revision that injected the caller has
    /// none that says so.</summary>
    public string? CapturingMap
    {
        get
        {
            if (ControlPlanesOf(Home) is not [var plane, ..]) return null;
            var map = ClusterObjects.RevisionOf(ClientPod) is { Length: > 0 } revision ? plane.At.MapOf(plane.Namespace, revision) : plane.Map;
            return map is { CapturesDns: true } ? $"ConfigMap {map.Namespace}/{map.Name} in {plane.At.Context}" : null;
        }
    }

    private MeshMap? MapOf(ClusterObjects cluster) => ControlPlanesOf(cluster) is [var plane, ..] ? plane.Map : null;

    public string RootNamespace => Settings.Mesh.RootNamespace;

    public ClusterObjects? ById(string id, ClusterObjects near) => near.Id == id ? near : Clusters.FirstOrDefault(cluster => cluster.Id == id);

    /// <summary>The Pod behind an address.</summary>
    /// <param name="clusterId">The cluster that the endpoint names; empty when it names none.</param>
    /// <param name="near">The cluster in which the address was found.</param>
    /// <param name="network">The network of the proxy that has the address: an address is valid only within a
    /// network.</param>
    public (ClusterObjects Cluster, Pod Pod)? PodAt(IPAddress address, string clusterId, ClusterObjects near, string network)
    {
        var text = address.ToString();
        // Clusters with the same name do not know each other.
        var others = Clusters.Where(cluster => cluster != near && cluster.Id != near.Id);
        foreach (var cluster in others.Prepend(near).Where(cluster => clusterId.Length == 0 || cluster.Id == clusterId))
            if (cluster.PodAt(text) is { } pod && (clusterId.Length > 0 || cluster.NetworkOf(pod) == network)) return (cluster, pod);
        return null;
    }

    /// <summary>The ServiceEntry or WorkloadEntry that lists an address as an endpoint of a host, with its kind; null when none does.</summary>
    public string? EntryOf(EndPoint address, string host)
    {
        if (address is not IPEndPoint ip) return null;
        var dialled = EndpointAddress.Of(ip.Address);
        if (EntriesFor(host).FirstOrDefault(entry =>
            entry.Endpoints.Any(endpoint => endpoint.Address == dialled)) is { } entry) return $"ServiceEntry {entry.Namespace}/{entry.Name}";
        // Several may have the address, each with a port of its own: the one that an entry for the host selects is meant.
        var selecting = EntriesFor(host).Where(entry => entry.WorkloadSelector.Count > 0).ToList();
        return Clusters.SelectMany(cluster => cluster.Istio<WorkloadEntry>()).Where(workload => workload.Endpoint.Address == dialled)
            .MaxBy(workload => selecting.Exists(entry => entry.Namespace == workload.Namespace
                && Selectors.Matches(entry.WorkloadSelector, workload.Endpoint.Labels)))
            is { } workload
            ? $"WorkloadEntry {workload.Namespace}/{workload.Name}" : null;
    }

    /// <summary>ServiceEntries for a host, among the Istio objects that apply to the caller.</summary>
    public IEnumerable<ServiceEntry> EntriesFor(string host) =>
        ConfigOf(Home).Istio<ServiceEntry>().Where(entry => entry.Hosts.Any(pattern => Covers(pattern, host)));

    private MeshHost? ByName(string name, string ns)
    {
        var services = Clusters.Select(cluster => cluster.Service(ns, name) is { } service ? new ServiceInCluster(cluster, service) : null)
            .OfType<ServiceInCluster>()
            .OrderByDescending(service => service.Cluster == Home).ToList();
        return services.Count == 0 ? null : new($"{name}.{ns}.svc.{WellKnown.DefaultDomainSuffix}", ns, name, services, []);
    }

    private MeshHost? ByEntry(string host)
    {
        var entries = Home.Istio<ServiceEntry>().Where(entry => entry.Hosts.Any(pattern => Covers(pattern, host))).ToList();
        return entries.Count == 0 ? null : new(host, entries[0].Namespace, host, [], entries);
    }

    private static bool IsHeadless(MeshHost host) => host.Services.Any(service => service.Service.Spec.ClusterIP == "None");

    private static bool Covers(string pattern, string host) =>
        pattern == host || (pattern.StartsWith('*') && host.EndsWith(pattern[1..], StringComparison.Ordinal));
}
