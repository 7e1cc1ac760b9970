using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>A request for a cluster. <see cref="ClusterPlan"/> chooses the rest.</summary>
/// <param name="Context">Empty for the same as the name.</param>
/// <param name="Network">Empty for a network of its own.</param>
/// <param name="NoNode">Whether the cluster starts without a node, for a kubelet that joins it.</param>
public sealed record ClusterRequest(string Name, string Context = "", string Network = "", string Region = "", string Zone = "", bool NoNode = false)
{
    public JsonObject ToJson() =>
        new() { ["name"] = Name, ["context"] = Context, ["network"] = Network, ["region"] = Region, ["zone"] = Zone, ["noNode"] = NoNode };

    internal static ClusterRequest FromJson(JsonNode? json) => new(
        Text(json, "name"), Text(json, "context"), Text(json, "network"), Text(json, "region"), Text(json, "zone"),
        (json as JsonObject)?["noNode"] is JsonValue value && value.TryGetValue<bool>(out var on) && on);

    private static string Text(JsonNode? json, string field) =>
        (json as JsonObject)?[field] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}

/// <summary>Chooses addresses and ranges for new clusters.</summary>
public static partial class ClusterPlan
{
    // The node's name, <cluster>-control-plane, must stay a valid host name label.
    private const int LongestName = 63 - 14;

    /// <summary>The settings of a new cluster beside the existing ones.</summary>
    /// <exception cref="ProblemException">The name is invalid or taken, or the outer network is full.</exception>
    public static ClusterSettings Plan(ClusterRequest request, ValueList<ClusterSettings> existing)
    {
        CheckName(request.Name);
        if (existing.Any(cluster => cluster.Name == request.Name))
        {
            throw new ProblemException($"cluster {request.Name}", "already exists",
                $"choose another name, or delete it first: isthmus lab delete cluster --name {request.Name}");
        }
        var context = request.Context.Length > 0 ? request.Context : request.Name;
        if (existing.FirstOrDefault(cluster => cluster.Context == context) is { } same)
        {
            throw new ProblemException($"cluster {request.Name}", $"the context name '{context}' is already used by cluster {same.Name}",
                "choose another name");
        }
        var ordinal = Enumerable.Range(1, ClusterSettings.MaxClusters).FirstOrDefault(number => existing.All(cluster => cluster.Ordinal != number));
        if (ordinal == 0)
            throw new ProblemException($"cluster {request.Name}", $"the outer network has room for {existing.Count} clusters, which exist already",
                "delete one first");
        var network = request.Network.Length > 0 ? request.Network : request.Name;
        return ClusterSettings.Default(request.Name, ordinal) with
        {
            Context = context,
            Network = network,
            PodRange = FreePodRange(network, existing),
            Region = request.Region,
            Zone = request.Zone,
            HasNode = !request.NoNode,
        };
    }

    /// <summary>The other clusters of the same network.</summary>
    internal static ValueList<NodePeer> Peers(ClusterSettings cluster, IEnumerable<ClusterSettings> all) => all
        .Where(other => other.Name != cluster.Name && other.Network == cluster.Network)
        .OrderBy(other => other.Ordinal)
        .Select(other => new NodePeer(other.Address, other.PodRange)).ToValueList();

    /// <exception cref="WrongUseException">It is not a name that a cluster of the lab can have.</exception>
    public static void CheckName(string name)
    {
        if (name.Length is 0 or > LongestName || !ClusterName().IsMatch(name))
        {
            throw new WrongUseException($"cluster '{name}'", "is not a valid name",
                $"use lower-case letters, digits and '-', beginning and ending with a letter or digit, at most {LongestName} characters");
        }
    }

    // Isolated networks use the same ranges on purpose, so that nothing relies on different ones.
    private static Cidr FreePodRange(string network, ValueList<ClusterSettings> existing)
    {
        var taken = existing.Where(cluster => cluster.Network == network).Select(cluster => cluster.PodRange).ToHashSet();
        return Enumerable.Range(0, ClusterSettings.MaxClusters + 1)
            .Select(number => 244 + number < 256 ? Cidr.Parse($"10.{244 + number}.0.0/16") : Cidr.Parse($"10.{number}.0.0/16"))
            .First(range => !taken.Contains(range));
    }

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", RegexOptions.CultureInvariant)]
    private static partial Regex ClusterName();
}
