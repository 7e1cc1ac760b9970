using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.PodSecurity;

/// <summary>A Pod or the template of one, as the Pod Security Standards read it.</summary>
internal sealed class CheckedPod(JsonNode? metadata, JsonNode? spec)
{
    private static readonly string[] Lists = ["initContainers", "containers", "ephemeralContainers"];

    public JsonNode? Spec => spec;

    /// <summary>Settings for the whole Pod.</summary>
    public JsonNode? Security => spec.At("securityContext");

    /// <summary>Its containers run on Windows, where half of the rules do not apply.</summary>
    public bool IsOfWindows => spec.TextAt("os", "name") == "windows";

    public IReadOnlyList<JsonObject> Containers { get; } = [.. Lists.SelectMany(list => Json.Objects(spec.At(list)))];

    public IEnumerable<JsonObject> Volumes => Json.Objects(spec.At("volumes"));

    public IEnumerable<KeyValuePair<string, string>> Annotations => Json.Map(metadata.At("annotations"));

    /// <summary>The names of the containers that something is true of, in their order.</summary>
    public List<string> Named(Func<JsonObject, bool> isWrong) => [.. Containers.Where(isWrong).Select(container => Json.Text(container["name"]))];
}
