using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Volumes;

/// <summary>
/// Mount points inside of volumes that containers only read: nothing can be made in such a volume once it is mounted. As with a kubelet,
/// volumes that are made from objects get a directory for each before a container starts, and others do not.
/// </summary>
internal static class NestedMounts
{
    /// <summary>The directories that a volume needs, relative to its root.</summary>
    internal static IEnumerable<string> In(PodSpec spec, string volume) =>
        spec.InitContainers.Concat(spec.Containers).Concat(spec.EphemeralContainers).SelectMany(container => In(container, volume))
            .Distinct(StringComparer.Ordinal);

    /// <summary>Makes what is missing. A name that is one of the volume's own files stays what it is.</summary>
    internal static void Make(string root, IEnumerable<string> directories)
    {
        foreach (var path in directories.Where(path => new FileInfo(Path.Combine(root, path.Split('/')[0])).LinkTarget is null))
            Directory.CreateDirectory(Path.Combine(root, path));
    }

    private static IEnumerable<string> In(Container container, string volume)
    {
        var targets = container.VolumeMounts.Select(mount => Clean(mount.MountPath)).ToList();
        foreach (var outer in container.VolumeMounts.Where(mount => mount.Name == volume && mount.SubPath.Length == 0 && mount.SubPathExpr.Length == 0))
        {
            var root = Clean(outer.MountPath);
            foreach (var inner in targets.Where(target => IsBelow(target, root)))
            {
                // What is below another mount is that volume's.
                if (!targets.Any(other => IsBelow(other, root) && IsBelow(inner, other))) yield return inner[root.Length..].TrimStart('/');
            }
        }
    }

    private static string Clean(string path) => Path.GetFullPath("/" + path).TrimEnd('/');

    private static bool IsBelow(string path, string root) => path.StartsWith(root + "/", StringComparison.Ordinal);
}
