using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>A Pod in the two parts in which the graph keeps it: readiness changes often, and affects no scope.</summary>
/// <param name="Readiness">Null: unknown.</param>
public sealed record PodState(PodFacts Facts, PodReadiness? Readiness);

/// <summary>Pods: what is known of endpoints, and of proxies themselves.</summary>
public sealed class PodKind() : MeshKind<MeshPod, PodState>(MeshApi.Pod)
{
    internal override PodState Read(string cluster, MeshPod item) =>
        new(KubeFacts.Of(cluster, item), new(item.Status.IsReady && item.Metadata.DeletionTimestamp is null));

    internal override ObjectRef SourceOf(PodState facts) => facts.Facts.Source;

    internal override void Put(MeshSources sources, PodState facts)
    {
        var key = KeyOf(facts);
        sources.Pods.Put(key, facts.Facts);
        if (facts.Readiness is { } readiness) sources.PodReadiness.Put(key, readiness);
    }

    internal override void Remove(MeshSources sources, ObjectKey key)
    {
        sources.Pods.Remove(key);
        sources.PodReadiness.Remove(key);
    }

    internal override void RemoveCluster(MeshSources sources, string cluster)
    {
        RemoveOf(sources.Pods, cluster);
        RemoveOf(sources.PodReadiness, cluster);
    }

    internal override bool IsRemembered => false;
}
