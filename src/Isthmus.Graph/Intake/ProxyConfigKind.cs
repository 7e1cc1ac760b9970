using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>ProxyConfigs: what proxies get when they are injected. Running proxies keep what they have.</summary>
public sealed class ProxyConfigKind() : IstioObjectKind<ProxyConfig>(MeshApi.ProxyConfig)
{
    internal override Source<ObjectKey, ProxyConfig> SourceIn(MeshSources sources) => sources.ProxyConfigs;

    internal override Reach ReachOf(ProxyConfig value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}
