using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Lab.Machine.Network;

/// <summary>The identity of one lab cluster. The supervisor keeps it as <c>cluster.json</c> in the cluster's
/// directory.</summary>
/// <param name="Name">Also the prefix of the node's name.</param>
/// <param name="Context">The name of its context, cluster and user in the user's kubeconfig.</param>
/// <param name="Ordinal">1 for the first; never reused while the cluster exists.</param>
/// <param name="Network">Clusters with the same network route to each other's Pods. They are isolated from all
/// others.</param>
/// <param name="Address">The node's and the API server's address on the outer network.</param>
/// <param name="PodRange">The IPv4 range of all Pods of the cluster; the first /24 is the first node's.</param>
/// <param name="ServiceRange">The IPv4 range of ClusterIPs.</param>
/// <param name="LoadBalancerPool">The source of addresses for LoadBalancer Services, unless the user created pools.</param>
/// <param name="Region">The node's topology.kubernetes.io/region; empty for none.</param>
/// <param name="Zone">The node's topology.kubernetes.io/zone; empty for none.</param>
/// <param name="HasNode">Whether the lab runs the node. Otherwise a kubelet joins the cluster, in the node's network.</param>
public sealed record ClusterSettings(
    string Name,
    string Context,
    int Ordinal,
    string Network,
    IPAddress Address,
    Cidr PodRange,
    Cidr ServiceRange,
    Cidr LoadBalancerPool,
    string Region = "",
    string Zone = "",
    bool HasNode = true)
{
    /// <summary>The file in the cluster's directory.</summary>
    public const string FileName = "cluster.json";

    /// <summary>The outer network, which connects nodes, API servers, NodePorts and load balancer addresses.</summary>
    public static readonly Cidr OuterRange = Cidr.Parse("172.18.0.0/16");

    /// <summary>The supervisor's own address on the outer network.</summary>
    public static readonly IPAddress SupervisorAddress = IPAddress.Parse("172.18.0.1");

    /// <summary>How many clusters fit into the outer network: ordinal i has the pool 172.18.(200+i).0/24.</summary>
    public const int MaxClusters = 55;

    public string NodeName => $"{Name}-control-plane";

    public Uri Server => new($"https://{Address}:6443");

    /// <summary>The part of the Pod range that belongs to the first node.</summary>
    public Cidr NodePodRange => Cidr.Parse($"{PodRange.Base}/{Math.Max(24, PodRange.PrefixLength)}");

    /// <summary>The Service <c>kubernetes</c>: the first address of the Service range.</summary>
    public IPAddress KubernetesAddress => Addresses.Add(ServiceRange.Base, 1);

    /// <summary>The cluster's DNS: the tenth address of the Service range.</summary>
    public IPAddress DnsAddress => Addresses.Add(ServiceRange.Base, 10);

    /// <summary>The default settings of a cluster.</summary>
    /// <param name="ordinal">1 to <see cref="MaxClusters"/>.</param>
    public static ClusterSettings Default(string name, int ordinal) => new(
        name,
        name,
        ordinal,
        name,
        Addresses.Add(OuterRange.Base, 1 + ordinal),
        Cidr.Parse("10.244.0.0/16"),
        Cidr.Parse("10.96.0.0/16"),
        Cidr.Parse($"172.18.{200 + ordinal}.0/24"));

    /// <summary>Reads <c>cluster.json</c> of a cluster's directory.</summary>
    /// <exception cref="ProblemException">The file is missing or malformed.</exception>
    public static ClusterSettings Load(string clusterDirectory)
    {
        var path = Path.Combine(clusterDirectory, FileName);
        try
        {
            return FromJson(JsonNode.Parse(File.ReadAllText(path)), path);
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            throw new ProblemException(path, $"is not readable: {e.Message}", "Run isthmus lab down and isthmus lab up.", e);
        }
    }

    /// <exception cref="ProblemException">A field is missing or invalid.</exception>
    public static ClusterSettings FromJson(JsonNode? json, string source)
    {
        return new(Text("name"), Text("context"), Number("ordinal"), Text("network"), Address("address"),
            Range("podRange"), Range("serviceRange"), Range("loadBalancerPool"), Text("region"), Text("zone"), Switch("hasNode", true));

        string Text(string field) => (json as JsonObject)?[field] is JsonValue value && value.TryGetValue<string>(out var text)
            ? text : throw Wrong(field, "text");
        // Files of earlier versions do not have the field.
        bool Switch(string field, bool otherwise) => (json as JsonObject)?[field] is not { } node ? otherwise
            : node is JsonValue value && value.TryGetValue<bool>(out var on) ? on : throw Wrong(field, "true or false");
        int Number(string field) => (json as JsonObject)?[field] is JsonValue value && value.TryGetValue<int>(out var number)
            ? number : throw Wrong(field, "a number");
        IPAddress Address(string field) => IPAddress.TryParse(Text(field), out var address) ? address : throw Wrong(field, "an address");
        Cidr Range(string field) => Cidr.TryParse(Text(field), out var range) ? range : throw Wrong(field, "a CIDR");
        ProblemException Wrong(string field, string wanted) =>
            new(new Problem("", source, field, $"must be {wanted}", "Run isthmus lab down and isthmus lab up."));
    }

    public JsonObject ToJson() => new()
    {
        ["name"] = Name,
        ["context"] = Context,
        ["ordinal"] = Ordinal,
        ["network"] = Network,
        ["address"] = Address.ToString(),
        ["podRange"] = PodRange.ToString(),
        ["serviceRange"] = ServiceRange.ToString(),
        ["loadBalancerPool"] = LoadBalancerPool.ToString(),
        ["region"] = Region,
        ["zone"] = Zone,
        ["hasNode"] = HasNode,
    };
}
