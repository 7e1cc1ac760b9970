using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Images.Oci;

/// <summary>How containers of an image start, unless their Pod says otherwise.</summary>
/// <param name="Arguments">The arguments of the entry point (<c>Cmd</c>).</param>
/// <param name="User">A user, or user and group, by name or number; empty for root.</param>
public sealed record ImageStart(ValueList<string> Entrypoint, ValueList<string> Arguments, ValueMap<string> Environment, string User, string WorkingDirectory);

/// <summary>How containers of an image start, and what the image says about itself.</summary>
/// <param name="Names">The complete references by which the image can be used.</param>
/// <param name="Architecture">As Go names it: amd64 or arm64.</param>
public sealed record ImageSpec(ValueList<string> Names, string Architecture, ImageStart Start, ValueMap<string> Labels, DateTimeOffset Created);

/// <summary>The two documents that make layers an image.</summary>
public sealed class ImageDocuments
{
    internal const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
    internal const string IndexType = "application/vnd.oci.image.index.v1+json";
    private const string ConfigType = "application/vnd.oci.image.config.v1+json";
    private const string LayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

    private ImageDocuments(ImageSpec spec, IReadOnlyList<Layer> layers, byte[] config,
        byte[] manifest) => (Spec, Layers, Config, Manifest) = (spec, layers, config, manifest);

    public ImageSpec Spec { get; }

    public IReadOnlyList<Layer> Layers { get; }

    public byte[] Config { get; }

    public byte[] Manifest { get; }

    /// <summary>The digest of the image.</summary>
    public Digest Digest => Oci.Digest.Of(Manifest);

    public static ImageDocuments Make(ImageSpec spec, IReadOnlyList<Layer> layers)
    {
        var config = Bytes(ConfigOf(spec, layers));
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = ManifestType,
            ["config"] = Descriptor(ConfigType, Oci.Digest.Of(config), config.Length),
            ["layers"] = new JsonArray([.. layers.Select(layer => Descriptor(LayerType, layer.Digest, layer.Size))]),
        };
        return new(spec, layers, config, Bytes(manifest));
    }

    internal static JsonObject Descriptor(string type, Digest digest, long size) =>
        new() { ["mediaType"] = type, ["digest"] = digest.ToString(), ["size"] = size };

    // The media types have a +, which the default encoder would escape.
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static byte[] Bytes(JsonNode node) => System.Text.Encoding.UTF8.GetBytes(node.ToJsonString(Readable));

    internal static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static JsonObject ConfigOf(ImageSpec spec, IReadOnlyList<Layer> layers) => new()
    {
        ["created"] = Time(spec.Created),
        ["architecture"] = spec.Architecture,
        ["os"] = "linux",
        ["config"] = new JsonObject
        {
            ["User"] = spec.Start.User,
            ["Env"] = Texts(spec.Start.Environment.Select(pair => $"{pair.Key}={pair.Value}")),
            ["Entrypoint"] = Texts(spec.Start.Entrypoint),
            ["Cmd"] = spec.Start.Arguments.IsEmpty ? null : Texts(spec.Start.Arguments),
            ["WorkingDir"] = spec.Start.WorkingDirectory,
            ["Labels"] = new JsonObject(spec.Labels.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
        },
        ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = Texts(layers.Select(layer => layer.Content.ToString())) },
        ["history"] = new JsonArray([.. layers.Select(layer => new JsonObject { ["created"] = Time(spec.Created), ["created_by"] = layer.Origin })]),
    };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);
}
