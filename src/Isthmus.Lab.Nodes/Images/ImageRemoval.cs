using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Lab.Nodes.Containers;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>Removes images that were loaded.</summary>
/// <param name="nodes">The directories of all nodes of the lab.</param>
public sealed class ImageRemoval(UnpackedImages images, IReadOnlyList<string> nodes)
{
    private const int ShortestId = 4;

    /// <summary>Removes the name, and with the last name the image.</summary>
    /// <param name="text">A name, or the beginning of an ID.</param>
    /// <returns>What was removed: a name, or an ID.</returns>
    /// <exception cref="ProblemException">There is no such image, or a container runs it.</exception>
    public string Run(string text, CancellationToken stop)
    {
        using var one = images.Lock(stop);
        if (ImageName.TryParse(text, out var name) && images.Find(name) is { } named)
        {
            var isLast = named.Names.Count == 1 || name.Digest.Length > 0;
            if (isLast) RequireUnused(named);
            images.Remove(named, isLast ? null : name.ToString());
            return name.ToString();
        }
        var id = text.StartsWith("sha256:", StringComparison.Ordinal) ? text["sha256:".Length..] : text;
        var found = id.Length < ShortestId ? [] : images.All.Where(image => image.Hex.StartsWith(id, StringComparison.Ordinal)).ToList();
        if (found.Count != 1)
            throw new ProblemException($"image {text}", found.Count == 0 ? "is not loaded" : "is the beginning of several IDs",
                "list the images: isthmus lab image list");
        RequireUnused(found[0]);
        images.Remove(found[0], null);
        return found[0].Id;
    }

    /// <summary>The files of an image are part of the root of each of its containers.</summary>
    private void RequireUnused(UnpackedImage image)
    {
        var user = nodes.SelectMany(Running).FirstOrDefault(running => image.IsReferredToBy(running.ImageId));
        if (user.Pod is { } pod)
            throw new ProblemException($"image {image.Names.FirstOrDefault() ?? image.Id}", $"is in use by container {user.Container} of Pod {pod}",
                "delete the Pod first");
    }

    private static IEnumerable<(string Pod, string Container, string ImageId)> Running(string node) =>
        from pod in Children(Path.Combine(node, "pods"))
        let sandbox = StateFile.Read(Path.Combine(pod, "pod.json"), NodeJson.Default.PodRecord)
        where sandbox is not null
        from container in Children(Path.Combine(pod, "containers"))
        let record = StateFile.Read(Path.Combine(container, "container.json"), NodeJson.Default.ContainerRecord)
        where record is { End: null }
        select ($"{sandbox.Namespace}/{sandbox.Name}", record.Name, record.ImageId);

    private static IEnumerable<string> Children(string directory) => Directory.Exists(directory) ? Directory.EnumerateDirectories(directory) : [];
}
