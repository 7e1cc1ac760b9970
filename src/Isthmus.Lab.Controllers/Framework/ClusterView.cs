using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>The controllers' copy of the cluster: one shared informer per kind, with the indexes that controllers
/// need.</summary>
internal sealed class ClusterView
{
    private readonly List<(Task Synced, Func<CancellationToken, Task> Run)> _lists = [];
    private readonly KubeClient _client;
    private readonly TimeProvider _time;

    internal ClusterView(KubeClient client, TimeProvider time)
    {
        (_client, _time) = (client, time);
        Pods = Watch<Pod>(Kinds.Pod);
        PodsByNamespace = new(Pods, InNamespace);
        PodsByOwner = new(Pods, ByController);
        PodsByNode = new(Pods, pod => pod.Spec.NodeName.Length > 0 ? [pod.Spec.NodeName] : []);
        Services = Watch<Service>(Kinds.Service);
        ServicesByNamespace = new(Services, InNamespace);
        Endpoints = Watch<Endpoints>(Kinds.Endpoints);
        Slices = Watch<EndpointSlice>(Kinds.EndpointSlice);
        SlicesByService = new(Slices, ByService);
        Nodes = Watch<Node>(Kinds.Node);
        Namespaces = Watch<Namespace>(Kinds.Namespace);
        Deployments = Watch<Deployment>(Kinds.Deployment);
        ReplicaSets = Watch<ReplicaSet>(Kinds.ReplicaSet);
        ReplicaSetsByNamespace = new(ReplicaSets, InNamespace);
        ServiceAccounts = Watch<ServiceAccount>(Kinds.ServiceAccount);
        Secrets = Watch<Secret>(Kinds.Secret);
        RootCertificates = Watch<ConfigMap>(Kinds.ConfigMap, new() { FieldSelector = "metadata.name=kube-root-ca.crt" });
    }

    internal WatchedList<Pod> Pods { get; }
    internal Index<Pod> PodsByNamespace { get; }
    internal Index<Pod> PodsByOwner { get; }
    internal Index<Pod> PodsByNode { get; }
    internal WatchedList<Service> Services { get; }
    internal Index<Service> ServicesByNamespace { get; }
    internal WatchedList<Endpoints> Endpoints { get; }
    internal WatchedList<EndpointSlice> Slices { get; }
    internal Index<EndpointSlice> SlicesByService { get; }
    internal WatchedList<Node> Nodes { get; }
    internal WatchedList<Namespace> Namespaces { get; }
    internal WatchedList<Deployment> Deployments { get; }
    internal WatchedList<ReplicaSet> ReplicaSets { get; }
    internal Index<ReplicaSet> ReplicaSetsByNamespace { get; }
    internal WatchedList<ServiceAccount> ServiceAccounts { get; }
    internal WatchedList<Secret> Secrets { get; }

    /// <summary>Only the ConfigMaps <c>kube-root-ca.crt</c>, of all namespaces.</summary>
    internal WatchedList<ConfigMap> RootCertificates { get; }

    /// <summary>Completes once every list has been read for the first time.</summary>
    internal Task Synced => Task.WhenAll(_lists.Select(list => list.Synced));

    /// <summary>Adds a list that only one controller needs. Call it before <see cref="RunAsync"/>.</summary>
    internal WatchedList<T> Watch<T>(ResourceKind kind, InformerSettings? settings = null) where T : class
    {
        var list = new WatchedList<T>(_client, kind, settings ?? new(), _time);
        _lists.Add((list.Synced, list.RunAsync));
        return list;
    }

    /// <summary>Like <see cref="Watch"/>, for a kind that may not exist: nothing waits for it.</summary>
    internal WatchedList<T> WatchIfServed<T>(ResourceKind kind, InformerSettings settings) where T : class
    {
        var list = new WatchedList<T>(_client, kind, settings, _time);
        _lists.Add((Task.CompletedTask, list.RunAsync));
        return list;
    }

    internal Task RunAsync(CancellationToken stop) => Task.WhenAll(_lists.Select(list => list.Run(stop)));

    internal static IEnumerable<string> InNamespace(KubeObject item) => [item.Metadata.Namespace];

    /// <summary>Groups objects by the uid of their controller.</summary>
    internal static IEnumerable<string> ByController(KubeObject item) => Tree.ControllerOf(item) is { } owner ? [owner.Uid] : [];

    private static IEnumerable<string> ByService(EndpointSlice slice) =>
        slice.Metadata.Labels.TryGetValue(Core.Names.Labels.ServiceName, out var name) ? [$"{slice.Metadata.Namespace}/{name}"] : [];
}
