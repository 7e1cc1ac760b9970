using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Reads resources from <c>cds.json</c>, <c>eds.json</c>, <c>rds.json</c> and <c>lds.json</c> of a directory:
/// arrays of protojson, instead of from a control plane.</summary>
internal static class DirectorySource
{
    private static readonly (string File, string TypeUrl, MessageDescriptorSource Parser)[] Kinds =
    [
        ("cds.json", TypeUrls.Cluster, new(json => WireTypes.Lenient.Parse<Cluster>(json), m => ((Cluster)m).Name)),
        ("eds.json", TypeUrls.Endpoints, new(json => WireTypes.Lenient.Parse<ClusterLoadAssignment>(json), m => ((ClusterLoadAssignment)m).ClusterName)),
        ("rds.json", TypeUrls.Route, new(json => WireTypes.Lenient.Parse<RouteConfiguration>(json), m => ((RouteConfiguration)m).Name)),
        ("lds.json", TypeUrls.Listener, new(json => WireTypes.Lenient.Parse<Listener>(json), m => ((Listener)m).Name)),
    ];

    private sealed record MessageDescriptorSource(Func<string, IMessage> Parse, Func<IMessage, string> Name);

    /// <summary>Reads every file that exists, in the order in which a control plane sends them. Without one there are no clusters, which
    /// listeners need not wait for.</summary>
    /// <param name="notes">Receives what was skipped because its type is unknown.</param>
    /// <exception cref="ProblemException">A file is not an array of such resources.</exception>
    public static IReadOnlyList<ResourceUpdate> Read(string directory, Action<string> notes)
    {
        if (!Directory.Exists(directory))
            throw new ProblemException(directory, "the directory does not exist", "specify a directory with cds.json, eds.json, rds.json and lds.json");
        var updates = new List<ResourceUpdate>();
        foreach (var (file, typeUrl, parser) in Kinds)
        {
            var path = Path.Combine(directory, file);
            if (File.Exists(path)) updates.Add(new(typeUrl, [.. Resources(path, typeUrl, parser, notes)], [], "file"));
            else if (typeUrl == TypeUrls.Cluster) updates.Add(new(typeUrl, [], [], "file"));
        }
        return updates;
    }

    private static IEnumerable<NamedResource> Resources(string path, string typeUrl, MessageDescriptorSource parser, Action<string> notes)
    {
        JsonArray array;
        try
        {
            array = StrictJson.Parse(File.ReadAllText(path)) as JsonArray ?? throw new ProblemException(path, "a JSON array of resources is expected");
        }
        catch (JsonException e)
        {
            throw new ProblemException(path, $"this is not JSON: {e.Message}", "", e);
        }
        for (var i = 0; i < array.Count; i++)
        {
            var node = UnknownTypes.Replaced(array[i], unknown => notes($"{path}[{i}]: {unknown} is not known"));
            IMessage message;
            try
            {
                message = parser.Parse(node?.ToJsonString() ?? "{}");
            }
            catch (Exception e) when (ResourceException.IsFault(e) || e is FormatException)
            {
                throw new ProblemException($"{path}[{i}]", $"not a valid resource of type {typeUrl}: {e.Message}", "", e);
            }
            yield return new(parser.Name(message), "file", new Any { TypeUrl = typeUrl, Value = message.ToByteString() });
        }
    }
}
