using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Graph.History;

/// <summary>The write that an object's version comes from, as far as the object tells.</summary>
/// <param name="Manager">The field manager; empty: unknown.</param>
/// <param name="At">When, by the API server's clock; null if unknown.</param>
/// <param name="Content">Which content was written (<see cref="ContentOf"/>); 0 when our webhooks do not see writes of its kind.</param>
public sealed record ObjectWrite(string ResourceVersion, string Uid, long Generation, string Manager, DateTimeOffset? At, ulong Content)
{
    /// <summary>Which fields it changed, as <see cref="ChangedFields"/> tells them; empty: unknown, or none of them.</summary>
    public ValueList<string> Fields { get; init; }

    /// <summary>Reads the metadata of an object.</summary>
    public static ObjectWrite? Of(object item)
    {
        switch (item)
        {
            case KubeObject typed:
                var meta = typed.Metadata;
                return new(meta.ResourceVersion, meta.Uid, meta.Generation, meta.LastWrite.Manager ?? "", meta.LastWrite.At, 0);
            case JsonObject tree:
                var last = LastWrite.Of(tree);
                var metadata = tree["metadata"];
                return new(metadata?["resourceVersion"]?.ToString() ?? "", metadata?["uid"]?.ToString() ?? "", GenerationOf(tree), last.Manager ?? "", last.At,
                    ContentOf(tree));
            default:
                return null;
        }
    }

    internal static long GenerationOf(JsonObject item) =>
        item["metadata"]?["generation"] is JsonValue value && value.TryGetValue<long>(out var generation) ? generation : 0;

    /// <summary>A hash of the <c>spec</c>, whatever the order of its fields.</summary>
    public static ulong ContentOf(JsonObject item)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, item["spec"]);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash.GetHashAndReset());
    }

    private static void Add(IncrementalHash hash, JsonNode? node)
    {
        switch (node)
        {
            case JsonObject tree:
                Add(hash, "{");
                foreach (var (name, value) in tree.OrderBy(field => field.Key, StringComparer.Ordinal))
                {
                    Add(hash, JsonEncodedText.Encode(name).Value);
                    Add(hash, value);
                }
                Add(hash, "}");
                break;
            case JsonArray list:
                Add(hash, "[");
                foreach (var value in list) Add(hash, value);
                Add(hash, "]");
                break;
            default:
                Add(hash, node?.ToJsonString() ?? "null");
                break;
        }
    }

    private static void Add(IncrementalHash hash, string text)
    {
        hash.AppendData(Encoding.UTF8.GetBytes(text));
        hash.AppendData("\n"u8);
    }
}
