using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Pods: what is known of endpoints, and of proxies themselves.</summary>
public sealed class PodKind() : MeshKind<MeshPod, Workload>(MeshApi.Pod)
{
    internal override Workload Read(string cluster, MeshPod item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(Workload facts) => facts.Source;

    internal override void Put(MeshSources sources, Workload facts) => sources.Workloads.Put(facts.Source, facts);

    internal override void Remove(MeshSources sources, ObjectKey key) => sources.Workloads.Remove(Workload.KeyOfPod(key));

    internal override void RemoveCluster(MeshSources sources, string cluster) =>
        sources.Workloads.RemoveWhere(key => key.Cluster == cluster && Workload.IsOfPod(key));

    internal override bool IsRemembered => false;
}
