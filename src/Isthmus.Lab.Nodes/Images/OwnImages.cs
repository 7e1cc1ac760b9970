using Isthmus.Core.Collections;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>The images of our own programs. The names of Istio's and CoreDNS's images refer to them too.</summary>
public static class OwnImages
{
    /// <summary>The image that is the machine's own root file system.</summary>
    public const string MachineRoot = "host.lab.internal/rootfs";

    /// <summary>Where the .NET runtime, this build, and the scripts that give it other names appear in containers.</summary>
    public const string RuntimeDirectory = "/opt/dotnet", BuildDirectory = "/opt/isthmus", NamesDirectory = "/opt/names";

    /// <summary>How our binary is started inside a container.</summary>
    public static readonly ValueList<string> Program = [$"{RuntimeDirectory}/dotnet", $"{BuildDirectory}/isthmus.dll"];

    /// <summary>Names of our binary in /usr/local/bin of the runtime images, and the words that each inserts before its
    /// arguments.</summary>
    public static readonly ValueMap<string> Names = new(
    [
        new("isthmus", ""), new("istioctl", ""), new("pilot-agent", ""), new("pilot-discovery", ""), new("istio-iptables", "istio-iptables"),
        new("coredns", "dns"), new("plugin", "coredns-plugin"), new("nslookup", "sample nslookup"), new("gunicorn", "sample httpbin"),
    ]);

    public static ValueList<Image> All { get; } =
    [
        new("isthmus.internal/isthmus", RootKind.Runtime, Program, []),
        new("*/proxyv2", RootKind.Runtime, Program, []),
        new("*/pilot", RootKind.Runtime, Program, []),
        new("*/coredns", RootKind.Runtime, [.. Program, "dns"], []),
        new("docker.io/coredns/coredns", RootKind.Runtime, [.. Program, "dns"], []),
        new("*/coredns-plugin", RootKind.Runtime, [.. Program, "coredns-plugin"], []),
        new(MachineRoot, RootKind.Machine, [], ["/bin/sh"]),
    ];
}
