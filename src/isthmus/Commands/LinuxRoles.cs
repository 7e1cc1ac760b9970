using System.Runtime.CompilerServices;
using System.Runtime.Versioning;

namespace Isthmus.Commands;

/// <summary>Processes of a lab and of nodes. They are methods of their own, and not inlined: an archive without them must not need them to say so.</summary>
[SupportedOSPlatform("linux")]
internal static class LinuxRoles
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static Task<int> CniAsync(string[] args, CancellationToken stop) => Cni.CniProgram.RunAsync(args, stop);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static Task<int> ApiServerAsync(string[] args, CancellationToken stop) => Lab.ApiServerProgram.RunAsync(args, stop);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static Task<int> NodeAsync(string[] args, CancellationToken stop) => Lab.NodeProgram.RunAsync(args, stop);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static Task<int> SupervisorAsync(string[] args, CancellationToken stop) => Lab.SupervisorProgram.RunAsync(args, stop);
}
