using System.Collections;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Images;

namespace Isthmus.Lab.Supervisor;

/// <summary>The images that were loaded into a lab.</summary>
public sealed class LabImages(LabHome home)
{
    private readonly UnpackedImages _images = new(home.Images);

    /// <summary>
    /// Makes this process root in the users of a running lab, so that it can create and delete files of all of them. Replaces
    /// the process by one with the same arguments, unless it has these users already.
    /// </summary>
    /// <param name="supervisor">Its PID on this machine.</param>
    public static void BecomeUsersOf(int supervisor, SelfCommand self)
    {
        if (LabShell.UserArguments(supervisor) is not { Length: > 0 } users) return;
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables()) environment[(string)entry.Key] = (string?)entry.Value ?? "";
        ProcessImage.Replace(LabShell.Find("nsenter"), ["-t", $"{supervisor}", .. users, "--", .. self.With(Environment.GetCommandLineArgs()[1..])],
            environment);
    }

    /// <returns>The names of what was loaded, and the size of its files.</returns>
    /// <exception cref="ProblemException">The archive has no image that can be loaded.</exception>
    public IReadOnlyList<(string Name, long Size)> Load(string file, string? name, CancellationToken stop) =>
        [.. new ImageLoad(_images).Run(file, name, stop).SelectMany(image => image.Names.Select(one => (one, image.Size)))];

    /// <returns>What was removed: a name, or an ID.</returns>
    /// <exception cref="ProblemException">There is no such image, or a container runs it.</exception>
    public string Remove(string text, CancellationToken stop) =>
        new ImageRemoval(_images, [.. Directory.EnumerateDirectories(home.Clusters).Select(cluster => Path.Combine(cluster, "node"))]).Run(text, stop);

    /// <summary>The output of <c>lab image list -o json</c>.</summary>
    public JsonObject List() => new() { ["images"] = new JsonArray([.. _images.All.Select(ToJson)]) };

    private static JsonObject ToJson(UnpackedImage image) => new()
    {
        ["id"] = image.Id,
        ["names"] = Texts(image.Names),
        ["digest"] = image.Digest,
        ["size"] = image.Size,
        ["created"] = image.Created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", System.Globalization.CultureInfo.InvariantCulture),
        ["entrypoint"] = Texts(image.Entrypoint),
        ["arguments"] = Texts(image.Arguments),
        ["environment"] = new JsonObject(image.Environment.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
        ["user"] = image.User,
        ["workingDirectory"] = image.WorkingDirectory,
    };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);
}
