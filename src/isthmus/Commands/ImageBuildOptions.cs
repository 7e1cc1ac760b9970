using System.CommandLine;
using System.Runtime.InteropServices;
using Isthmus.Core.Collections;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Images.Building;
using Isthmus.Images.Debian;
using Isthmus.Images.Description;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Commands;

/// <summary>What every command that builds the image can be told.</summary>
internal sealed class ImageBuildOptions
{
    /// <summary>What <c>isthmus install</c> uses without hub and tag.</summary>
    internal static readonly string DefaultName = $"{WellKnown.OwnDomain}/isthmus:{BuildVersion.Current}";

    private readonly Option<string[]> _tag = new("--tag",
        "-t") { Description = "Name of the image, such as registry.example.com/isthmus:1.0; repeat it for several", DefaultValueFactory = _ => [DefaultName] };
    private readonly Option<string> _mirror = new("--mirror")
    {
        Description = "Address of a Debian mirror; security updates come from the same address with -security",
        DefaultValueFactory = _ => PackageSource.DefaultMirror
    };
    private readonly Option<string> _packages = new("--packages")
    {
        Description = "Directory of Debian packages: files that it has are used as they are, others are downloaded to it", DefaultValueFactory = _ => ""
    };
    private readonly Option<string> _bill = new("--sbom")
    {
        Description = "File for the list of everything in the image (SPDX 2.3, JSON); the image has it too", DefaultValueFactory = _ => ""
    };

    private readonly Option<bool> _samples = new("--samples")
    {
        Description = "Add images of the samples, under the names in their manifests, for nodes that cannot pull them"
    };

    private readonly Option<bool> _withoutCni = new("--without-cni")
    {
        Description = "Leave out the CNI plug-in, which needs a C compiler to build: the image cannot be the CNI agent of nodes"
    };

    private readonly Option<string> _envoy = new("--with-envoy")
    {
        Description = $"Program of Envoy that the image also gets, as {ProgramLayout.Envoy}: proxies with this binaryPath run it", DefaultValueFactory = _ => ""
    };

    internal void AddTo(Command command)
    {
        foreach (var option in (Option[])[_tag, _samples, _withoutCni, _envoy, _mirror, _packages, _bill]) command.Options.Add(option);
    }

    /// <summary>Only what matters for an image that another command then uses.</summary>
    internal void AddSourcesTo(Command command)
    {
        foreach (var option in (Option[])[_withoutCni, _envoy, _mirror, _packages]) command.Options.Add(option);
    }

    internal BuildRequest Request(ParseResult line, string output, string architecture) =>
        Request(line, output, architecture, [.. line.GetValue(_tag)!.Select(Reference)],
            Writable("--sbom", line.GetValue(_bill)!)) with { Samples = line.GetValue(_samples) };

    /// <param name="names">Complete references of the image.</param>
    internal BuildRequest Request(ParseResult line, string output, string architecture, ValueList<string> names, string bill = "")
    {
        var program = new ProgramSource(AppContext.BaseDirectory,
            ProgramLayout.IsNative ? [] : [RuntimeEnvironment.GetRuntimeDirectory().TrimEnd('/'), WebFramework()], BuildVersion.Current,
            Environment.GetEnvironmentVariable("ISTHMUS_ROOT") ?? "") { Executable = ProgramLayout.IsNative ? Environment.ProcessPath! : "" };
        var mirror = line.GetValue(_mirror)!;
        if (!Uri.TryCreate(mirror, UriKind.Absolute, out _))
            throw new WrongUseException("--mirror", $"'{mirror}' is not an address", $"for example {PackageSource.DefaultMirror}");
        return new(program, Writable("--output", output), names, architecture, new(mirror, line.GetValue(_packages)!), bill,
            Environment.GetEnvironmentVariable("SOURCE_DATE_EPOCH") ?? "") { WithoutCni = line.GetValue(_withoutCni), Envoy = line.GetValue(_envoy)! };
    }

    private static string WebFramework() =>
        ((string?)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "").Split(Path.PathSeparator)
            .FirstOrDefault(file => Path.GetFileName(file) == "Microsoft.AspNetCore.Http.dll") is { } file
        ? Path.GetDirectoryName(file)!
        : throw new ProblemException("isthmus", "the ASP.NET Core runtime, which images contain, is not where the program runs",
            "run ./isthmus from its repository");

    private static string Reference(string text) =>
        ImageName.TryParse(text, out var name) && name.Digest.Length == 0
            ? name.ToString()
            : throw new WrongUseException("--tag", $"'{text}' is not the name of an image", "for example registry.example.com/isthmus:1.0");

    private static string Writable(string option, string path)
    {
        if (path.Length == 0) return path;
        if (Directory.Exists(path)) throw new ProblemException(option, $"{path} is a directory", "specify a file");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Directory.Exists(folder) ? path : throw new ProblemException(option, $"the directory {folder} does not exist", "create it first");
    }
}
