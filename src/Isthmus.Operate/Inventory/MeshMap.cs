using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Inventory;

/// <summary>The ConfigMap with MeshConfig and meshNetworks of one control plane: the only place where commands read them.</summary>
public sealed class MeshMap
{
    private const string DefaultName = "istio", MeshKey = "mesh", NetworksKey = "meshNetworks";

    /// <summary>What proxies get where no control plane has settings of its own.</summary>
    public static readonly MeshSettings Defaults = new(MeshConfigReader.ReadMesh(null).Config, MeshNetworks.None);

    private readonly JsonObject? _written;

    private MeshMap(JsonObject map)
    {
        (Namespace, Name) = (map["metadata"]?["namespace"]?.ToString() ?? "", map["metadata"]?["name"]?.ToString() ?? "");
        var owner = $"ConfigMap {Namespace}/{Name}";
        try
        {
            var written = YamlText.Parse(map["data"]?[MeshKey]?.ToString() ?? "", $"data[{MeshKey}]");
            _written = written as JsonObject;
            var networks = YamlText.Parse(map["data"]?[NetworksKey]?.ToString() ?? "", $"data[{NetworksKey}]");
            var (mesh, problems) = MeshConfigReader.ReadMesh(written, $"{owner}, key {MeshKey}");
            var (known, more) = MeshConfigReader.ReadNetworks(networks, $"{owner}, key {NetworksKey}");
            (Settings, Problems) = (new(mesh with { SystemNamespace = Namespace }, known), problems.Concat(more).ToValueList());
        }
        catch (ProblemException e)
        {
            (IsReadable, Problems) = (false, [e.Problem with
            {
                Code = "IST0106", Object = owner, Remedy = "correct it (kubectl edit configmap): a control plane that starts has defaults instead",
            }]);
        }
    }

    public string Namespace { get; }

    public string Name { get; }

    /// <summary>Whether it is the one of the revision without a name.</summary>
    public bool IsDefault => Name == DefaultName;

    /// <summary>Whether both documents are YAML.</summary>
    public bool IsReadable { get; } = true;

    /// <summary>What its control plane would say of it.</summary>
    public ValueList<Problem> Problems { get; }

    /// <summary>What proxies get of it; the defaults when it is not readable.</summary>
    public MeshSettings Settings { get; } = Defaults;

    /// <summary>The name of the mesh in telemetry; empty: the trust domain.</summary>
    public string MeshId => Text(ProxyConfig?["meshId"]);

    /// <summary>Whether sidecars answer the DNS queries of applications, unless a Pod or a ProxyConfig says otherwise.</summary>
    public bool CapturesDns => bool.TryParse(Text((ProxyConfig?["proxyMetadata"] as JsonObject)?["ISTIO_META_DNS_CAPTURE"]), out var captures) && captures;

    /// <summary>The names of providers of Lightstep, which nothing sends spans to.</summary>
    public ValueList<string> Lightsteps => (_written?["extensionProviders"] as JsonArray ?? [])
        .Where(provider => provider?["lightstep"] is not null).Select(provider => Text(provider!["name"])).ToValueList();

    private JsonObject? ProxyConfig => _written?["defaultConfig"] as JsonObject;

    /// <summary>The map that counts for a revision; null when there is none. One that cannot be read counts only where no other can: its control plane goes
    /// on with what it read before, which the maps of other revisions resemble most.</summary>
    /// <param name="revision">Empty, or <c>default</c>, for the one without a name.</param>
    public static MeshMap? Of(IEnumerable<MeshMap> maps, string revision)
    {
        var name = revision is "" or "default" ? DefaultName : $"{DefaultName}-{revision}";
        return maps.Reverse().OrderBy(map => !map.IsReadable).ThenBy(map => map.Name != name).ThenBy(map => !map.IsDefault)
            .ThenBy(map => map.Name, StringComparer.Ordinal).FirstOrDefault();
    }

    /// <summary>Null: the object has no MeshConfig.</summary>
    public static MeshMap? Read(JsonObject map) => map["data"]?[MeshKey] is JsonValue ? new(map) : null;

    private static string Text(JsonNode? node) => node?.ToString() ?? "";
}
