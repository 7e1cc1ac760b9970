using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>WasmPlugins: filters of proxies that run Wasm.</summary>
public sealed class WasmPluginKind() : IstioObjectKind<WasmPlugin>(MeshApi.WasmPlugin)
{
    internal override Source<ObjectKey, WasmPlugin> SourceIn(MeshSources sources) => sources.WasmPlugins;

    internal override Reach ReachOf(WasmPlugin value) => Reach.OfWorkloads(value.Source.Namespace, value.Selector);
}
