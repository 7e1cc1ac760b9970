using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;

namespace Isthmus.Images.Description;

/// <summary>Where our program is inside a container, and by which names it starts: the same in the image and in Pods of the lab.</summary>
public static class ProgramLayout
{
    /// <summary>Whether the running program is one native executable. Otherwise, each container needs the .NET runtime, too.</summary>
    public static bool IsNative => !RuntimeFeature.IsDynamicCodeSupported;

    /// <summary>Where the .NET runtime, the program, and the scripts that give it other names appear in containers.</summary>
    public const string RuntimeDirectory = "/opt/dotnet", BuildDirectory = "/opt/isthmus", NamesDirectory = "/opt/names";

    /// <summary>Where containers find the names: each is a link to its script.</summary>
    public const string SearchedDirectory = "/usr/local/bin";

    /// <summary>The program of Envoy, where an image has one.</summary>
    public const string Envoy = SearchedDirectory + "/envoy";

    /// <summary>The native program in containers, whatever its file is called outside.</summary>
    public const string NativeProgram = BuildDirectory + "/isthmus";

    /// <summary>The executable for nodes, beside the program.</summary>
    public const string CniPlugin = "istio-cni";

    public const string SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>How the program is started inside a container.</summary>
    public static readonly ValueList<string> Program = IsNative ? [NativeProgram] : [$"{RuntimeDirectory}/dotnet", $"{BuildDirectory}/isthmus.dll"];

    /// <summary>Names of the program, and the words that each inserts before its arguments.</summary>
    public static readonly ValueMap<string> Names = new(
    [
        new("isthmus", ""), new("istioctl", ""), new("pilot-agent", ""), new("pilot-discovery", ""), new("istio-iptables", "istio-iptables"),
        new("install-cni", "install-cni"),
        new("coredns", "dns"), new("plugin", "coredns-plugin"), new("nslookup", "sample nslookup"), new("gunicorn", "sample httpbin"),
        new("client", "sample echo-client"),
    ]);

    /// <summary>Settings of the .NET runtime in the image.</summary>
    public static readonly ValueMap<string> Environment = new(
    [
        // Programs that run for long are compiled once more, by what they have done so far; for a command this would only cost time.
        .. IsNative ? (KeyValuePair<string, string>[])[]
            : [new("DOTNET_ROOT", RuntimeDirectory), new("DOTNET_NOLOGO", "1"), new("DOTNET_TieredPGO", "1")],
        // The diagnostics pipe would be in /tmp, which is read-only in most Pods; and nothing may attach to the program.
        new("DOTNET_EnableDiagnostics", "0"),
        // Hexadecimal: 2 MiB. Otherwise, the runtime collects no garbage before it fills the processor's last cache, which may be 100 MiB.
        new("DOTNET_GCgen0size", "200000"),
    ]);

    /// <summary>The script behind a name.</summary>
    public static string Script(string words) => $"#!/bin/sh\nexec {string.Join(' ', Program)}{(words.Length > 0 ? " " + words : "")} \"$@\"\n";
}
