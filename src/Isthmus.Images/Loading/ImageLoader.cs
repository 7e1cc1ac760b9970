using Isthmus.Core.Collections;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Images.Tools;

namespace Isthmus.Images.Loading;

/// <summary>A program that stores images for containers of this machine.</summary>
/// <param name="Package">Where the program comes from.</param>
public sealed record ImageStore(string Name, string Program, ValueList<string> Arguments, string Package)
{
    /// <summary>Replaced by the archive and by the cluster's name.</summary>
    private const string Archive = "{archive}", Cluster = "{cluster}";

    public static readonly ValueList<ImageStore> All =
    [
        // Kubelets see only the images in this namespace.
        new("containerd", "ctr", ["--namespace", "k8s.io", "images", "import", Archive], "containerd"),
        new("docker", "docker", ["load", "--input", Archive], "docker"),
        new("podman", "podman", ["load", "--input", Archive], "podman"),
        new("kind", "kind", ["load", "image-archive", Archive, "--name", Cluster], "kind (https://kind.sigs.k8s.io)"),
        new("k3s", "k3s", ["ctr", "images", "import", Archive], "k3s (https://k3s.io)"),
    ];

    /// <exception cref="WrongUseException">The name is not that of a store.</exception>
    public static ImageStore Find(string name) =>
        All.FirstOrDefault(store => store.Name == name)
        ?? throw new WrongUseException("--to", $"'{name}' is not a place for images",
            $"use {string.Join(", ", All.SkipLast(1).Select(store => store.Name))} or {All[^1].Name}");

    public IEnumerable<string> Words(string archive, string cluster) =>
        Arguments.Select(word => word switch { Archive => Path.GetFullPath(archive), Cluster => cluster, _ => word });

    /// <summary>Loads an archive; returns what the program printed.</summary>
    public async Task<string> LoadAsync(string archive, string cluster, CancellationToken stop)
    {
        try
        {
            return await Tool.RunAsync(Program, Words(archive, cluster), null,
                $"install {Package}, or run the command where it is; a node without it can import the file with its own program", stop);
        }
        catch (ProblemException e) when (e.InnerException is null)
        {
            throw new ProblemException($"loading into {Name}", e.Problem.Message, "does it run, and may you use it (sudo)?", e);
        }
    }
}
