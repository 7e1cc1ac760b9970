using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>Modules in images of registries: as a file of the last layer, or as a layer of its own.</summary>
internal static class ModuleImage
{
    private static readonly string[] Packed = ["application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"];
    private static readonly string[] Plain = ["application/vnd.module.wasm.content.layer.v1+wasm", "application/wasm"];

    /// <returns>The module, and what the manifest of its image hashes to.</returns>
    /// <exception cref="ModuleException">The module cannot be fetched.</exception>
    public static async Task<(byte[] Module, string Sha256)> GetAsync(ModuleHttp http, ModuleRequest request, CancellationToken stop)
    {
        var image = ImageReference.Parse(request.Url);
        var registry = new RegistryClient(http, image, RegistryCredentials.Read(request.Credentials, image.Registry));
        var bytes = await registry.ManifestAsync(image.Name, stop).ConfigureAwait(false);
        var manifest = Read(bytes);
        if (manifest["manifests"] is JsonArray { Count: > 0 } images)
        {
            bytes = await registry.ManifestAsync(Text(Chosen(images), "digest"), stop).ConfigureAwait(false);
            manifest = Read(bytes);
        }
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        if (request.Sha256.Length > 0 && request.Sha256 != sha256)
            throw new ModuleException($"the manifest hashes to {sha256}, which is not the sha256 of the plugin");
        var layers = manifest["layers"] is JsonArray all ? all.OfType<JsonObject>().ToList() : [];
        if (layers.Find(layer => Plain.Contains(Text(layer, "mediaType"))) is { } own)
            return (await registry.BlobAsync(Text(own, "digest"), stop).ConfigureAwait(false), sha256);
        if (layers.Count == 0 || !Packed.Contains(Text(layers[^1], "mediaType"))) throw new ModuleException("the image has no layer with a module of Wasm");
        return (ModuleArchive.FromLayer(await registry.BlobAsync(Text(layers[^1], "digest"), stop).ConfigureAwait(false)), sha256);
    }

    /// <summary>Of images for several platforms, the usual one: the module is the same for all.</summary>
    private static JsonObject Chosen(JsonArray images)
    {
        var known = images.OfType<JsonObject>().ToList();
        return known.Find(image => image["platform"] is JsonObject platform && Text(platform, "os") == "linux" && Text(platform, "architecture") == "amd64")
            ?? known.FirstOrDefault() ?? throw new ModuleException("the index of images is empty");
    }

    private static JsonObject Read(byte[] manifest)
    {
        try
        {
            return StrictJson.Parse(manifest) as JsonObject ?? throw new ModuleException("the manifest is not an object");
        }
        catch (JsonException e)
        {
            throw new ModuleException("the manifest is not JSON", e);
        }
    }

    private static string Text(JsonObject value, string field) => value[field] is JsonValue text && text.TryGetValue<string>(out var known) ? known : "";
}
