using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>The content of the state file, from which the next supervisor resumes.</summary>
/// <param name="ProxyPort">The port of the HTTP proxy on the machine's loopback. Kubeconfigs contain it, so it is
/// kept.</param>
/// <param name="Clusters">In the order of creation.</param>
public sealed record LabState(int ProxyPort, ValueList<ClusterSettings> Clusters)
{
    public static readonly LabState Empty = new(0, []);

    /// <summary>By cluster, the port on the machine's loopback where its API server is reached without the proxy.</summary>
    public ValueMap<int> LoopbackPorts { get; init; }

    /// <summary>Empty when there is no lab.</summary>
    /// <exception cref="ProblemException">The file cannot be parsed.</exception>
    public static LabState Load(LabHome home)
    {
        if (!File.Exists(home.LabFile)) return Empty;
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(home.LabFile)) as JsonObject;
            var clusters = (json?["clusters"] as JsonArray ?? []).Select(cluster => ClusterSettings.FromJson(cluster, home.LabFile));
            var ports = (json?["loopbackPorts"] as JsonObject ?? []).Select(port => KeyValuePair.Create(port.Key, (int)port.Value!));
            return new((int?)json?["proxyPort"] ?? 0, clusters.ToValueList()) { LoopbackPorts = new(ports) };
        }
        catch (Exception e) when (e is JsonException or IOException or InvalidOperationException or FormatException)
        {
            throw new ProblemException(home.LabFile, $"cannot be parsed: {e.Message}", "remove the lab: isthmus lab down", e);
        }
    }

    internal LabState Without(string cluster) => this with
    {
        Clusters = Clusters.Where(other => other.Name != cluster).ToValueList(),
        LoopbackPorts = new(LoopbackPorts.Where(port => port.Key != cluster)),
    };

    internal LabState WithLoopbackPort(string cluster, int port) => this with { LoopbackPorts = new(LoopbackPorts.Items.SetItem(cluster, port)) };

    internal void Save(LabHome home)
    {
        var ports = new JsonObject(LoopbackPorts.Select(port => KeyValuePair.Create(port.Key, (JsonNode?)port.Value)));
        var clusters = new JsonArray();
        foreach (var cluster in Clusters) clusters.Add((JsonNode)cluster.ToJson());
        PrivateFile.Write(home.LabFile, new JsonObject { ["proxyPort"] = ProxyPort, ["clusters"] = clusters, ["loopbackPorts"] = ports }.ToJsonString());
    }
}
