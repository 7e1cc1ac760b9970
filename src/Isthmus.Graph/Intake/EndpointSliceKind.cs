using Isthmus.Graph.Derive;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>EndpointSlices of Services: endpoints of hosts.</summary>
public sealed class EndpointSliceKind() : SourceKind<EndpointSlice, SliceFacts>(MeshApi.EndpointSlice)
{
    internal override SliceFacts? Read(string cluster, EndpointSlice item) => KubeFacts.Of(cluster, item);

    internal override ObjectRef SourceOf(SliceFacts facts) => facts.Source;

    internal override Source<ObjectKey, SliceFacts> SourceIn(MeshSources sources) => sources.Slices;

    internal override bool IsRemembered => false;
}
