using System.Net;
using System.Net.NetworkInformation;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Isthmus.Core.Problems;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Cni.Pods;

/// <summary>The network namespaces of the node's Pods, as the agent sees them: the node's directories are mounted below <paramref name="root"/>.</summary>
/// <param name="root">Empty for a process outside of a container.</param>
internal sealed partial class NodeNamespaces(string root)
{
    private const int CloneNewNet = 0x40000000, ReadOnly = 0, CloseOnExec = 0x80000;

    private const string Directory = "/var/run/netns/", SameDirectory = "/run/netns/";

    /// <summary>Runs code whose sockets and processes belong to the namespace, on a thread of its own. The code must neither start threads nor
    /// queue work.</summary>
    /// <param name="path">As the runtime names it.</param>
    /// <exception cref="ProblemException">It does not exist, is the node's own, or cannot be entered.</exception>
    internal T Run<T>(string path, Func<T> body)
    {
        using var handle = Open(path);
        var node = NodeIdentity();
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (SetNamespace(handle, CloneNewNet) != 0)
                    throw new ProblemException(path, $"cannot be entered: {Marshal.GetLastPInvokeErrorMessage()}",
                        "the agent needs the capabilities SYS_ADMIN and NET_ADMIN");
                // Whatever a request says, the node's own rules stay as they are.
                if (Identity("/proc/thread-self/ns/net") == node)
                    throw new ProblemException(path, "is the node's own network namespace", "Pods with hostNetwork are not captured");
                result = body();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true, Name = "network namespace" };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>The namespace that has an address; null if none that the runtime keeps has it.</summary>
    internal string? Find(IPAddress address)
    {
        if (!System.IO.Directory.Exists(root + Directory)) return null;
        foreach (var path in System.IO.Directory.EnumerateFiles(root + Directory).Select(file => Directory + Path.GetFileName(file))
            .Order(StringComparer.Ordinal))
        {
            try
            {
                if (Run(path, () => Addresses().Contains(address))) return path;
            }
            catch (ProblemException)
            {
                // It has just ended, or is not a namespace.
            }
        }
        return null;
    }

    private static List<IPAddress> Addresses() =>
        [.. NetworkInterface.GetAllNetworkInterfaces().SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(address => address.Address)];

    private SafeFileHandle Open(string path)
    {
        var own = path.StartsWith(SameDirectory, StringComparison.Ordinal) ? Directory + path[SameDirectory.Length..] : path;
        if (!IsKept(own) && !IsOfProcess(own))
            throw new ProblemException(path, "is not the path of a network namespace", $"expected a file in {Directory}, or /proc/PROCESS/ns/net");
        var descriptor = OpenFile(root + own, ReadOnly | CloseOnExec);
        return descriptor >= 0 ? new(descriptor, ownsHandle: true)
            : throw new ProblemException(path, $"cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}",
                $"the agent's Pod must mount the node's {Path.GetDirectoryName(own)} at {root}{Path.GetDirectoryName(own)}, with HostToContainer propagation");
    }

    private static bool IsKept(string path) =>
        path.StartsWith(Directory, StringComparison.Ordinal) && path[Directory.Length..] is var name && name is not ("" or "." or "..")
            && !name.Contains('/', StringComparison.Ordinal);

    private static bool IsOfProcess(string path) => path.Split('/') is ["", "proc", { Length: > 0 } process, "ns", "net"] && process.All(char.IsAsciiDigit);

    private string NodeIdentity()
    {
        try
        {
            return Identity($"{root}/proc/1/ns/net");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException($"{root}/proc/1/ns/net", $"cannot be read: {e.Message}",
                "the agent's Pod must mount the node's /proc, and needs the capability SYS_PTRACE", e);
        }
    }

    /// <summary>For example <c>net:[4026531840]</c>.</summary>
    private static string Identity(string path) => File.ResolveLinkTarget(path, returnFinalTarget: false)!.Name;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeFileHandle descriptor, int kind);
}
