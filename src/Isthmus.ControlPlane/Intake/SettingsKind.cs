using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Intake;

/// <summary>The settings of the mesh as read, with their problems.</summary>
public sealed record SettingsState(ObjectRef Source, MeshSettings Settings, ValueList<Problem> Problems);

/// <summary>The ConfigMap with MeshConfig and meshNetworks. If it is deleted or cannot be parsed, the last good settings
/// stay in effect.</summary>
public sealed partial class SettingsKind(string name, ILogger log) : MeshKind<ConfigMap, SettingsState>(Kinds.ConfigMap)
{
    public override KindPlace Place => KindPlace.HomeNamespace;

    /// <summary>Whether all proxies serve clients of HTTP/1.0, which MeshConfig cannot say.</summary>
    public bool AcceptHttp10 { get; set; }

    internal override void Collect(MeshGraph mesh, MeshChanges changes) => changes.Config |= mesh.Sources.Settings.Changed.Count > 0;

    internal override SettingsState? Read(string cluster, ConfigMap item)
    {
        if (item.Metadata.Name != name) return null;
        try
        {
            var state = Of(cluster,
                YamlText.Parse(item.Data.GetValueOrDefault("mesh") ?? "", "data[mesh]"),
                YamlText.Parse(item.Data.GetValueOrDefault("meshNetworks") ?? "", "data[meshNetworks]"));
            foreach (var problem in state.Problems) SettingsOdd(log, item.Key, problem.ToString());
            return AcceptHttp10 ? state with { Settings = state.Settings with { Mesh = state.Settings.Mesh with { AcceptHttp10 = true } } } : state;
        }
        catch (ProblemException e)
        {
            SettingsOdd(log, item.Key, $"{e.Message}; the last good settings stay in force");
            return null;
        }
    }

    /// <summary>The documents <c>mesh</c> and <c>meshNetworks</c>, parsed.</summary>
    internal static SettingsState Of(string cluster, JsonNode? mesh, JsonNode? networks)
    {
        var (config, problems) = MeshConfigReader.ReadMesh(mesh);
        var (meshNetworks, more) = MeshConfigReader.ReadNetworks(networks);
        return new(new(cluster, "ConfigMap", config.RootNamespace, "istio"), new(config, meshNetworks), problems.Concat(more).ToValueList());
    }

    internal override ObjectRef SourceOf(SettingsState facts) => facts.Source;

    internal override void Put(MeshSources sources, SettingsState facts)
    {
        if (facts.Problems.IsEmpty) sources.Problems.Remove(facts.Source);
        else sources.Problems.Put(facts.Source, new(facts.Problems));
        sources.Settings.Put("", facts.Settings);
    }

    internal override void Remove(MeshSources sources, ObjectKey key)
    {
    }

    internal override void RemoveCluster(MeshSources sources, string cluster)
    {
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "ConfigMap {Map}: {Problem}")]
    private static partial void SettingsOdd(ILogger log, string map, string problem);
}
