using Isthmus.Core.Collections;
using Isthmus.Images.Description;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>The images of our own programs. The names of Istio's and CoreDNS's images refer to them too.</summary>
public static class OwnImages
{
    /// <summary>The image that is the machine's own root file system.</summary>
    public const string MachineRoot = "host.lab.internal/rootfs";

    public static ValueList<Image> All { get; } =
    [
        new("isthmus.internal/isthmus", RootKind.Runtime, ProgramLayout.Program, []),
        new("*/proxyv2", RootKind.Runtime, ProgramLayout.Program, []),
        new("*/pilot", RootKind.Runtime, ProgramLayout.Program, []),
        new("*/coredns", RootKind.Runtime, [.. ProgramLayout.Program, "dns"], []),
        new("docker.io/coredns/coredns", RootKind.Runtime, [.. ProgramLayout.Program, "dns"], []),
        new("*/coredns-plugin", RootKind.Runtime, [.. ProgramLayout.Program, "coredns-plugin"], []),
        new(MachineRoot, RootKind.Machine, [], ["/bin/sh"]),
    ];
}
