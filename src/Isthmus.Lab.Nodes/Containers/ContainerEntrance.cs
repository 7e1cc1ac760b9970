using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>
/// Starts programs inside a running container. A thread takes on the container's namespaces and the container's identity,
/// and starts the program itself: an image need not contain any other program.
/// </summary>
internal sealed class ContainerEntrance : IDisposable
{
    private const int ENotDir = 20;

    private static readonly (string File, NamespaceKinds Kind)[] Kinds =
        [("uts", NamespaceKinds.Uts), ("ipc", NamespaceKinds.Ipc), ("net", NamespaceKinds.Network), ("mnt", NamespaceKinds.Mount)];

    private readonly NamespaceHandle[] _namespaces;
    private readonly NamespaceHandle _processes;
    private readonly SafeFileHandle _workingDirectory;

    /// <param name="init">The container's PID 1.</param>
    internal ContainerEntrance(int init)
    {
        _namespaces = [.. Kinds.Select(kind => NamespaceHandle.Open($"/proc/{init}/ns/{kind.File}", kind.Kind))];
        _processes = NamespaceHandle.Open($"/proc/{init}/ns/pid", NamespaceKinds.Pid);
        _workingDirectory = Descriptors.Open($"/proc/{init}/cwd", Libc.OPath | Libc.ODirectory);
    }

    /// <param name="requests">The same program at the places where it may be; the first that exists is started.</param>
    /// <returns>Its PID in the lab.</returns>
    /// <exception cref="LaunchException">None of them can be started.</exception>
    internal async Task<int> StartAsync(IReadOnlyList<SpawnRequest> requests, ContainerIdentity identity, bool canSetGroups)
    {
        try
        {
            var (pid, error) = await NamespaceThread.RunAsync(_namespaces, () => Start(requests, identity, canSetGroups));
            return error == 0
                ? pid
                : throw new LaunchException(
                    $"failed to exec in container: failed to start exec \"{NewId()}\": OCI runtime exec failed: exec failed: "
                        + $"{RuncError.Of(requests[0].Arguments[0], Cause(error))}");
        }
        finally
        {
            ThreadCredentials.ReopenProcess();
        }
    }

    public void Dispose()
    {
        foreach (var one in _namespaces) one.Dispose();
        _processes.Dispose();
        _workingDirectory.Dispose();
    }

    // From the PID namespace on, the thread cannot start other threads. The runtime may start one when it first compiles a
    // method, so only what ran before follows, and errors are numbers.
    private (int Pid, int Error) Start(IReadOnlyList<SpawnRequest> requests, ContainerIdentity identity, bool canSetGroups)
    {
        LinuxException.Check(Libc.ChangeDirectory(_workingDirectory.Number()), "fchdir");
        identity.PrepareThread(canSetGroups);
        _processes.Enter();
        if (canSetGroups) ThreadCredentials.SetUser((uint)identity.User);
        var (pid, error) = (0, 0);
        foreach (var request in requests)
        {
            error = Spawn.TryStart(request, out pid);
            if (error is not (LinuxException.ENoEnt or LinuxException.EAccess or ENotDir)) break;
        }
        return (pid, error);
    }

    private static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    private static string Cause(int error) =>
        error is LinuxException.ENoEnt or ENotDir ? RuncError.Missing : Marshal.GetPInvokeErrorMessage(error).ToLowerInvariant();
}
