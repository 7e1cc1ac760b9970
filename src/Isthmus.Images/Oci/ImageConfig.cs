using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Images.Oci;

/// <summary>The configuration of an image that somebody else built.</summary>
/// <param name="StopSignal">Empty for SIGTERM.</param>
/// <param name="Contents">The digests of its uncompressed layers, the lowest first.</param>
public sealed record ImageConfig(string System, string Architecture, ImageStart Start, string StopSignal, DateTimeOffset Created, ValueList<Digest> Contents)
{
    /// <exception cref="FormatException">It is malformed. The message names the field.</exception>
    public static ImageConfig Read(JsonNode document)
    {
        var config = document["config"] as JsonObject ?? [];
        var start = new ImageStart(
            Texts(config, "Entrypoint"), Texts(config, "Cmd"), EnvironmentOf(config), Text(config, "User"),
            Text(config, "WorkingDir") is { Length: > 0 } directory ? directory : "/");
        var created = DateTimeOffset.TryParse(Text(document, "created"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : DateTimeOffset.UnixEpoch;
        return new(Text(document, "os"), Text(document, "architecture"), start, Text(config, "StopSignal"), created, ContentsOf(document));
    }

    private static ValueMap<string> EnvironmentOf(JsonObject config)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in Texts(config, "Env"))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0) values[pair[..equals]] = pair[(equals + 1)..];
        }
        return values.ToValueMap();
    }

    private static ValueList<Digest> ContentsOf(JsonNode document) =>
    [
        .. (document["rootfs"] is JsonObject root ? Texts(root, "diff_ids") : throw new FormatException("rootfs is missing"))
            .Select(text => Digest.TryParse(text, out var digest) ? digest : throw new FormatException($"rootfs.diff_ids: '{text}' is not a sha256 digest")),
    ];

    private static string Text(JsonNode map, string field) => map[field] switch
    {
        null => "",
        JsonValue value when value.TryGetValue(out string? text) => text,
        _ => throw new FormatException($"{field} is not a string"),
    };

    private static ValueList<string> Texts(JsonObject map, string field) => map[field] switch
    {
        null => [],
        JsonArray list => [.. list.Select(one => one is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw new FormatException($"{field} is not a list of strings"))],
        _ => throw new FormatException($"{field} is not a list"),
    };
}
