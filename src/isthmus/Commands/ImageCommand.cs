using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Images.Building;
using Isthmus.Images.Debian;
using Isthmus.Images.Description;
using Isthmus.Operate.Install.Operator;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus image</c>: the container image of this program.</summary>
internal static class ImageCommand
{
    internal static Command Build() => new("image", "Build the container image of Isthmus, without Docker.") { BuildBuild() };

    private static Command BuildBuild()
    {
        var output = new Option<string>("--output", "-o") { Description = "File to write: an OCI image layout that docker, podman and containerd load too", DefaultValueFactory = _ => "isthmus.tar" };
        var platform = new Option<string>("--platform") { Description = "linux/amd64 or linux/arm64; it must be that of this program", DefaultValueFactory = _ => "linux/" + OwnArchitecture() };
        var options = new ImageBuildOptions();
        var command = new Command("build",
            "Build one image for all roles: control plane, sidecar, gateway, traffic capture and DNS.\n\nThe image contains this build of the program, its .NET runtime, and a few Debian packages, which apt downloads and verifies. "
            + "The command needs neither root nor Docker nor a registry. The same sources and package versions result in the same digest.") { output, platform };
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

    private static async Task<BuiltImage> BuildAsync(BuildRequest request, CancellationToken stop)
    {
        BuiltImage? built = null;
        await LabProgress.RunAsync(async onStep => built = await new ImageBuilder(new ImageSteps(onStep), TimeProvider.System).BuildAsync(request, stop), whole: "image");
        return built!;
    }

    private static string Architecture(string platform)
    {
        var architecture = platform switch
        {
            "linux/amd64" => "amd64",
            "linux/arm64" => "arm64",
            _ => throw new ProblemException("--platform", $"'{platform}' is not supported", "use linux/amd64 or linux/arm64"),
        };
        return architecture == OwnArchitecture()
            ? architecture
            : throw new ProblemException("--platform", $"the image contains this program and its .NET runtime, which are built for linux/{OwnArchitecture()}, not {platform}", $"run the command on a {platform} machine");
    }

    private static string OwnArchitecture() => RuntimeInformation.ProcessArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.X64 => "amd64",
        System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        var other => other.ToString().ToLowerInvariant(),
    };

    /// <summary>What every command that builds the image can be told.</summary>
    private sealed class ImageBuildOptions
    {
        private readonly Option<string[]> _tag = new("--tag", "-t") { Description = "Name of the image, such as registry.example.com/isthmus:1.0; repeat it for several", DefaultValueFactory = _ => [$"{WellKnown.OwnDomain}/isthmus:{BuildVersion.Current}"] };
        private readonly Option<string> _mirror = new("--mirror") { Description = "Address of a Debian mirror; security updates come from the same address with -security", DefaultValueFactory = _ => PackageSource.DefaultMirror };
        private readonly Option<string> _packages = new("--packages") { Description = "Directory of Debian packages: files that it has are used as they are, others are downloaded to it", DefaultValueFactory = _ => "" };
        private readonly Option<string> _bill = new("--sbom") { Description = "File for the list of everything in the image (SPDX 2.3, JSON); the image has it too", DefaultValueFactory = _ => "" };

        internal void AddTo(Command command)
        {
            foreach (var option in (Option[])[_tag, _mirror, _packages, _bill]) command.Options.Add(option);
        }

        internal BuildRequest Request(ParseResult line, string output, string architecture)
        {
            var program = new ProgramSource(AppContext.BaseDirectory, [RuntimeEnvironment.GetRuntimeDirectory().TrimEnd('/'), WebFramework()], BuildVersion.Current,
                Environment.GetEnvironmentVariable("ISTHMUS_ROOT") ?? "");
            var mirror = line.GetValue(_mirror)!;
            if (!Uri.TryCreate(mirror, UriKind.Absolute, out _)) throw new ProblemException("--mirror", $"'{mirror}' is not an address", $"for example {PackageSource.DefaultMirror}");
            return new(program, Writable("--output", output), [.. line.GetValue(_tag)!.Select(Reference)], architecture, new(mirror, line.GetValue(_packages)!),
                Writable("--sbom", line.GetValue(_bill)!), Environment.GetEnvironmentVariable("SOURCE_DATE_EPOCH") ?? "");
        }

        private static string WebFramework() => Path.GetDirectoryName(typeof(Microsoft.AspNetCore.Http.HttpContext).Assembly.Location)!;

        private static string Reference(string text) =>
            ImageName.TryParse(text, out var name) && name.Digest.Length == 0
                ? name.ToString()
                : throw new ProblemException("--tag", $"'{text}' is not the name of an image", "for example registry.example.com/isthmus:1.0");

        private static string Writable(string option, string path)
        {
            if (path.Length == 0) return path;
            if (Directory.Exists(path)) throw new ProblemException(option, $"{path} is a directory", "specify a file");
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return Directory.Exists(folder) ? path : throw new ProblemException(option, $"the directory {folder} does not exist", "create it first");
        }
    }
}
