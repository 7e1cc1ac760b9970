using System.Runtime.Versioning;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Images.Debian;
using Isthmus.Images.Description;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Building;

/// <summary>Builds the image of the program: a root of Debian packages, the .NET runtime (unless the program is native), and the program, each as a
/// layer.</summary>
/// <param name="scratch">An existing directory for files that the build deletes at its end, also when it is interrupted.</param>
[SupportedOSPlatform("linux")]
public sealed class ImageBuilder(IBuildProgress progress, TimeProvider time, string scratch)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <exception cref="ProblemException">Something that the build needs is missing.</exception>
    public async Task<BuiltImage> BuildAsync(BuildRequest request, CancellationToken stop)
    {
        if (!request.WithoutCni) ProgramFiles.RequirePlugin(request.Program);
        // Getting packages takes a while: what is not a program is reported before.
        var envoy = request.Envoy.Length > 0 ? ProgramFile.Read(request.Envoy, "--with-envoy") : null;
        var work = Path.Combine(scratch, $"isthmus-image-{Guid.NewGuid():n}");
        Directory.CreateDirectory(work, OwnerOnly);
        try
        {
            return await BuildAsync(request, envoy, work, stop);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private async Task<BuiltImage> BuildAsync(BuildRequest request, ProgramFile? envoy, string work, CancellationToken stop)
    {
        var sources = await SourceState.ReadAsync(request.Program.Sources, request.Epoch, stop);
        string[] names = [.. BaseRoot.Packages, .. request.Samples ? BaseRoot.CurlPackages : []];
        var files = await StepAsync("get Debian packages", () => new PackageStore(request.Packages, request.Architecture, work).GetAsync(names, stop));
        var tree = new LayerTree();
        var packages = await StepAsync("unpack packages", () => DebianRoot.UnpackAsync([.. files.Take(BaseRoot.Packages.Length)], tree, stop));
        BaseRoot.AddTo(tree);
        if (envoy?.Reject(request.Architecture, Glibc(packages)) is { } reason)
            throw new ProblemException("--with-envoy", $"{request.Envoy} {reason}", "specify another release of Envoy");
        var bill = BillOfMaterials.Write(request.Program, sources, packages);
        Task<Layer> Write(string name, string origin, LayerTree content) =>
            StepAsync($"write layer: {name}",
                () => Task.Run(() => LayerWriter.Write(content, Path.Combine(work, $"{name}.tar.gz"), origin, sources.Time, stop), stop));
        // The layer that changes with every build comes last.
        Layer[] layers =
        [
            await Write("system", $"Debian {PackageStore.Release} packages", tree),
            .. request.Program.Frameworks.IsEmpty
                ? []
                : (Layer[])[await Write("runtime", $".NET {Path.GetFileName(request.Program.Frameworks[0])}", ProgramFiles.Runtime(request.Program))],
            .. envoy is null ? [] : (Layer[])[await Write("envoy", "Envoy", ProgramFiles.Envoy(request.Envoy))],
            await Write("program", $"isthmus {request.Program.Version}", ProgramFiles.Program(request.Program, bill, !request.WithoutCni)),
        ];
        var image = ImageDocuments.Make(Spec(request, sources), layers);
        List<ImageDocuments> images = [image];
        if (request.Samples)
        {
            var curl = new LayerTree();
            await DebianRoot.UnpackAsync([.. files.Skip(BaseRoot.Packages.Length)], curl, stop);
            Layer[] more = [.. layers, await Write("curl", $"Debian {PackageStore.Release} packages", curl)];
            images.AddRange(SampleImages.All.Select(sample => ImageDocuments.Make(Spec(image.Spec, sample), sample.HasCurl ? more : layers)));
        }
        await StepAsync("write image", () => Task.Run(() => Save(request.Output, output => ArchiveWriter.Write(output, images, sources.Time, stop)), stop));
        if (request.Bill.Length > 0)
        {
            Save(request.Bill, output =>
            {
                using var writer = new StreamWriter(output, leaveOpen: true);
                writer.Write(bill);
            });
        }
        return new(image.Digest, request.Output, new FileInfo(request.Output).Length, layers.Sum(layer => layer.ContentSize), sources.Time);
    }

    /// <summary>From a version such as 2.41-12+deb13u1.</summary>
    private static Version Glibc(IReadOnlyList<InstalledPackage> packages) =>
        packages.FirstOrDefault(package => package.Name == "libc6") is { } libc && Version.TryParse(libc.Version.Split('-', '+')[0], out var version)
            ? version
            : new(0, 0);

    private static ImageSpec Spec(BuildRequest request, SourceState sources)
    {
        var labels = new List<KeyValuePair<string, string>>
        {
            new("org.opencontainers.image.title", "isthmus"),
            new("org.opencontainers.image.description", "Isthmus: a service mesh for several Kubernetes clusters (control plane, proxy and traffic capture)"),
            new("org.opencontainers.image.vendor", "The Isthmus authors"),
            new("org.opencontainers.image.licenses", "Apache-2.0"),
            new("org.opencontainers.image.version", request.Program.Version),
            new("org.opencontainers.image.created", ImageDocuments.Time(sources.Time)),
        };
        if (sources.Revision.Length > 0) labels.Add(new("org.opencontainers.image.revision", sources.Revision));
        KeyValuePair<string, string>[] environment =
        [
            new("PATH", ProgramLayout.SearchPath), .. ProgramLayout.Environment,
        ];
        var start = new ImageStart(ProgramLayout.Program, [], environment.ToValueMap(), $"{ProxyUser.Id}:{ProxyUser.Id}", "/");
        return new(request.Names, request.Architecture, start, labels.ToValueMap(), sources.Time);
    }

    private static ImageSpec Spec(ImageSpec own, SampleImage sample) => own with
    {
        Names = sample.References,
        Start = own.Start with
        {
            Entrypoint = sample.Entrypoint, Arguments = sample.Arguments, User = $"{sample.User.Id}:{sample.User.Group}",
            Environment = own.Start.Environment.Concat(sample.Environment).ToValueMap(),
        },
    };

    /// <summary>Writes a file as a whole or not at all.</summary>
    private static bool Save(string path, Action<Stream> write)
    {
        var draft = $"{path}.new";
        try
        {
            using (var output = File.Create(draft)) write(output);
            File.Move(draft, path, overwrite: true);
            return true;
        }
        finally
        {
            File.Delete(draft);
        }
    }

    private async Task<T> StepAsync<T>(string step, Func<Task<T>> work)
    {
        var begun = time.GetTimestamp();
        progress.Started(step);
        var result = await work();
        progress.Finished(step, time.GetElapsedTime(begun));
        return result;
    }
}
