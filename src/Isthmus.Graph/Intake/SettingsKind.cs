using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.Graph.Intake;

/// <summary>The settings of the mesh as read, with their problems.</summary>
public sealed record SettingsState(ObjectRef Source, MeshSettings Settings, ValueList<Problem> Problems)
{
    public bool IsValid => Problems.All(problem => problem.Severity != Severity.Error);
}

/// <summary>The ConfigMap with MeshConfig and meshNetworks. If it is deleted or has errors, the last good settings stay in effect. A
/// control plane that starts with errors reads them with their strictest meaning.</summary>
public sealed partial class SettingsKind(string name, ILogger log) : MeshKind<ConfigMap, SettingsState>(MeshApi.ConfigMap)
{
    /// <summary>Whether all proxies serve clients of HTTP/1.0, which MeshConfig cannot say.</summary>
    public bool AcceptHttp10 { get; set; }

    /// <summary>Gateways that can serve HTTP/3 do.</summary>
    public bool QuicListeners { get; set; }

    /// <summary>HBONE.</summary>
    public TunnelSettings Tunnels { get; set; } = TunnelSettings.Default;

    /// <summary>Whether proxies know of endpoints that are not ready, which MeshConfig cannot say.</summary>
    public bool SendsUnready { get; set; } = true;

    internal override SettingsState? Read(string cluster, ConfigMap item)
    {
        if (item.Metadata.Name != name) return null;
        var state = StateOf(cluster, item);
        foreach (var problem in state.Problems) SettingsOdd(log, item.Key, problem.ToString());
        if (!state.IsValid) NotTaken(log, item.Key);
        return state with
        {
            Settings = state.Settings with
            {
                Mesh = state.Settings.Mesh with
                {
                    AcceptHttp10 = AcceptHttp10, QuicListeners = QuicListeners, SendsUnready = SendsUnready, Tunnels = Tunnels,
                },
            }
        };
    }

    /// <summary>What one version of the ConfigMap says. From any thread.</summary>
    internal static SettingsState StateOf(string cluster, ConfigMap map)
    {
        var source = new ObjectRef(cluster, "ConfigMap", map.Metadata.Namespace, map.Metadata.Name);
        try
        {
            return In(source, Of(cluster, Document("mesh"), Document("meshNetworks")));
        }
        catch (ProblemException e)
        {
            return In(source, Of(cluster, null, null)) with { Problems = [e.Problem with { Code = Unreadable, Object = $"ConfigMap {map.Metadata.Name}" }] };
        }

        JsonNode? Document(string key) => YamlText.Parse(map.Data.GetValueOrDefault(key) ?? "", $"data[{key}]");
    }

    private static SettingsState In(ObjectRef source, SettingsState state) => state with
    {
        Source = source,
        Settings = state.Settings with { Mesh = state.Settings.Mesh with { SystemNamespace = source.Namespace }, MapName = source.Name },
    };

    private const string Unreadable = "IST0106";

    /// <summary>The documents <c>mesh</c> and <c>meshNetworks</c>, parsed.</summary>
    internal static SettingsState Of(string cluster, JsonNode? mesh, JsonNode? networks)
    {
        var (config, problems) = MeshConfigReader.ReadMesh(mesh);
        var (meshNetworks, more) = MeshConfigReader.ReadNetworks(networks);
        return new(new(cluster, "ConfigMap", config.SystemNamespace, "istio"), new(config, meshNetworks), problems.Concat(more).ToValueList());
    }

    internal override ObjectRef SourceOf(SettingsState facts) => facts.Source;

    internal override Reach ReachOf(SettingsState facts) => Reach.Everything;

    internal override bool IsInForce(SettingsState facts) => facts.IsValid;

    internal override void Put(MeshSources sources, SettingsState facts)
    {
        if (facts.Problems.IsEmpty) sources.Problems.Remove(facts.Source);
        else sources.Problems.Put(facts.Source, new(facts.Problems));
        if (facts.IsValid || !_hasSettings) sources.Settings.Put("", facts.Settings);
        _hasSettings = true;
    }

    // Touched by the writer's thread only.
    private bool _hasSettings;

    internal override void Remove(MeshSources sources, ObjectKey key)
    {
    }

    internal override void RemoveCluster(MeshSources sources, string cluster)
    {
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "ConfigMap {Map} has errors; the last good settings stay in effect")]
    private static partial void NotTaken(ILogger log, string map);

    [LoggerMessage(Level = LogLevel.Warning, Message = "ConfigMap {Map}: {Problem}")]
    private static partial void SettingsOdd(ILogger log, string map, string problem);
}
