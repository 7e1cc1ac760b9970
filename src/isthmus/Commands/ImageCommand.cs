using System.CommandLine;
using System.Globalization;
using System.Runtime.Versioning;
using Isthmus.Core.Flags;
using Isthmus.Images.Building;
using Isthmus.Images.Description;
using Isthmus.Images.Loading;
using Isthmus.Images.Oci;
using Isthmus.Images.Registry;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus image</c>: the container image of this program.</summary>
internal static class ImageCommand
{
    internal static Command Build() =>
        new("image", "Build, upload and load the container image of Isthmus, without Docker.") { BuildBuild(), BuildPush(), BuildLoad() };

    private static Command BuildBuild()
    {
        var output = new Option<string>("--output",
            "-o") { Description = "File to write: an OCI image layout that docker, podman and containerd load too", DefaultValueFactory = _ => "isthmus.tar" };
        var platform = new Option<string>("--platform")
        {
            Description = "linux/amd64 or linux/arm64; it must be that of this program", DefaultValueFactory = _ => "linux/" + ImagePlatform.Architecture
        };
        var options = new ImageBuildOptions();
        var command = new Command("build",
            "Build one image for all roles: control plane, sidecar, gateway, traffic capture and DNS.\n\nThe image contains this build of the program, its "
                + ".NET runtime, and a few Debian packages, which apt downloads and verifies. "
            + "The command needs neither root nor Docker nor a registry. The same sources and package versions result in the same digest.")
            {
                output, platform
            };
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var architecture = Architecture(line.GetValue(platform)!);
            var built = await BuildAsync(options.Request(line, line.GetValue(output)!, architecture), stop);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{built.Output}: {built.Size / 1e6:0.0} MB, {built.UnpackedSize / 1e6:0} MB unpacked\n{built.Digest}"));
            return 0;
        });
        return command;
    }

    private static Command BuildPush()
    {
        var name = new Argument<string>("image") { Description = "Name of the image in its registry, such as registry.example.com/isthmus:1.0" };
        var file = FileOption();
        var plain = new Option<bool>("--plain-http") { Description = "The registry has no TLS" };
        var authority = new Option<string>("--ca-file") { Description = "PEM file with the only authorities to trust", DefaultValueFactory = _ => "" };
        var user = new Option<string>("--username")
        {
            Description = "User; otherwise what 'docker login' or 'podman login' stored", DefaultValueFactory = _ => ""
        };
        var password = new Option<bool>("--password-stdin") { Description = "Read the password from the standard input" };
        var options = new ImageBuildOptions();
        var command = new Command("push",
            "Upload the image to a registry. Layers that the registry has are not uploaded again.") { name, file, plain, authority, user, password };
        options.AddSourcesTo(command);
        command.SetAction(async (line, stop) =>
        {
            var place = RegistryName.Parse(line.GetValue(name)!);
            if ((line.GetValue(user)!.Length > 0) != line.GetValue(password))
                throw new WrongUseException("--username", "needs --password-stdin, and vice versa",
                    "use both, for example: isthmus image push IMAGE --username USER --password-stdin < FILE");
            var secret = line.GetValue(password) ? (await Terminal.Input.ReadToEndAsync(stop)).TrimEnd('\r', '\n') : "";
            var access = new RegistryAccess(line.GetValue(plain), line.GetValue(authority)!, line.GetValue(user)!, secret).WithStored(place.Host,
                CredentialFiles());
            using var registry = new RegistryClient(place, access);
            // Building takes minutes: a registry that cannot be reached is reported before.
            if (line.GetValue(file) is not { Length: > 0 }) await registry.ConnectAsync(stop);
            await WithArchiveAsync(line, file, options, [$"{line.GetValue(name)}"], async archive =>
            {
                using var images = ImageArchive.Open(archive);
                PushResult? pushed = null;
                await StepDisplay.RunAsync(async onStep =>
                {
                    var steps = new ImageSteps(onStep, TimeProvider.System);
                    pushed = await ImagePush.RunAsync(images, ImagePlatform.Architecture, registry, steps.Next, stop);
                    steps.Next("");
                }, whole: "push");
                Console.WriteLine($"{line.GetValue(name)}: {pushed!.Uploaded} blobs uploaded, {pushed.Present} were there\n{pushed.Digest}");
            }, stop);
            return 0;
        });
        return command;
    }

    private static Command BuildLoad()
    {
        var to = new Option<string>("--to") { Description = $"Where to: {string.Join(", ", ImageStore.All.Select(store => store.Name))}", Required = true };
        var cluster = new Option<string>("--name") { Description = "With kind: name of the cluster", DefaultValueFactory = _ => "kind" };
        var file = FileOption();
        var options = new ImageBuildOptions();
        var command = new Command("load",
            "Load the image into the containers' store of this machine, or into the nodes of a kind cluster.") { to, cluster, file };
        options.AddSourcesTo(command);
        command.SetAction(async (line, stop) =>
        {
            var store = ImageStore.Find(line.GetValue(to)!);
            await WithArchiveAsync(line, file, options, [ImageBuildOptions.DefaultName], async archive =>
            {
                using (var images = ImageArchive.Open(archive)) _ = images.Images(ImagePlatform.Architecture);
                Console.Write(await store.LoadAsync(archive, line.GetValue(cluster)!, stop));
                Console.WriteLine($"Loaded into {store.Name}.");
            }, stop);
            return 0;
        });
        return command;
    }

    private static Option<string> FileOption() =>
        new("--file", "-f") { Description = "Archive of 'isthmus image build'; without it, the image is built first", DefaultValueFactory = _ => "" };

    /// <summary>Uses the archive that the line names, or builds one that is deleted afterwards.</summary>
    private static async Task WithArchiveAsync(ParseResult line, Option<string> file, ImageBuildOptions options, string[] names, Func<string, Task> use,
        CancellationToken stop)
    {
        if (line.GetValue(file) is { Length: > 0 } given)
        {
            await use(given);
            return;
        }
        var directory = Directory.CreateTempSubdirectory("isthmus-image-").FullName;
        try
        {
            await use((await BuildAsync(options.Request(line, Path.Combine(directory, "image.tar"), ImagePlatform.Architecture, [.. names]), stop)).Output);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Where podman and docker store credentials.</summary>
    private static IEnumerable<string> CredentialFiles()
    {
        if (Environment.GetEnvironmentVariable("REGISTRY_AUTH_FILE") is { Length: > 0 } given) yield return given;
        if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } running) yield return Path.Combine(running, "containers/auth.json");
        var docker = Environment.GetEnvironmentVariable("DOCKER_CONFIG") is { Length: > 0 } folder
            ? folder
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".docker");
        yield return Path.Combine(docker, "config.json");
    }

    private static Task<BuiltImage> BuildAsync(BuildRequest request, CancellationToken stop) =>
        OperatingSystem.IsLinux() ? BuildHereAsync(request, stop) : throw LinuxOnly.Problem("isthmus image build");

    [SupportedOSPlatform("linux")]
    private static async Task<BuiltImage> BuildHereAsync(BuildRequest request, CancellationToken stop)
    {
        BuiltImage? built = null;
        await StepDisplay.RunAsync(async onStep => built = await new ImageBuilder(new ImageSteps(onStep, TimeProvider.System), TimeProvider.System,
            Path.GetTempPath()).BuildAsync(request,
            stop),
            whole: "image");
        return built!;
    }

    private static string Architecture(string platform)
    {
        var architecture = platform switch
        {
            "linux/amd64" => "amd64",
            "linux/arm64" => "arm64",
            _ => throw new WrongUseException("--platform", $"'{platform}' is not supported", "use linux/amd64 or linux/arm64"),
        };
        return architecture == ImagePlatform.Architecture
            ? architecture
            : throw new WrongUseException("--platform",
                $"the image contains this program and its .NET runtime, which are built for linux/{ImagePlatform.Architecture}, not {platform}",
                $"run the command on a {platform} machine");
    }
}
