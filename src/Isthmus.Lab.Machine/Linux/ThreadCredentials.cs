using System.Runtime.InteropServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>
/// The credentials of the calling thread, which a process that it starts inherits. The C library changes those of all
/// threads, but the kernel keeps them for each thread, so these are plain system calls. Use them only on a thread that ends
/// afterwards (<see cref="NamespaceThread"/>).
/// </summary>
internal static unsafe class ThreadCredentials
{
    private const int DropFromBoundingSet = 24, SetDumpable = 4;
    private const int LastCapability = 63;
    private const uint CapabilityVersion3 = 0x20080522;

    /// <summary>Limits what programs can get: only the capabilities whose bits are set, and none of them by
    /// inheritance.</summary>
    internal static void LimitCapabilities(ulong kept)
    {
        for (var capability = 0; capability <= LastCapability; capability++)
        {
            if ((kept >> capability & 1) == 1) continue;
            if (Libc.ProcessControl(DropFromBoundingSet, (nuint)capability, 0, 0, 0) == 0) continue;
            // The kernel has fewer capabilities than there are bits.
            if (Marshal.GetLastPInvokeError() == LinuxException.EInval) break;
            throw new LinuxException("drop a capability", Marshal.GetLastPInvokeError());
        }
        uint* header = stackalloc uint[2] { CapabilityVersion3, 0 };
        // Effective, permitted and inheritable, for each half.
        uint* sets = stackalloc uint[6];
        LinuxException.Check(Libc.GetCapabilities(header, sets), "capget");
        sets[2] = sets[5] = 0;
        LinuxException.Check(Libc.SetCapabilities(header, sets), "capset");
    }

    /// <summary>Programs that the thread starts never get more than it has, whatever set-user-ID bits say.</summary>
    internal static void ForbidNewPrivileges() => LinuxException.Check(Libc.ProcessControl(Libc.PrSetNoNewPrivs, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS");

    internal static void SetGroups(uint group, ReadOnlySpan<uint> others)
    {
        fixed (uint* list = others)
        {
            LinuxException.Check(Libc.SystemCall(KernelNumbers.Current.SetGroups, others.Length, (nint)list, 0, 0, 0), "setgroups");
        }
        LinuxException.Check(Libc.SystemCall(KernelNumbers.Current.SetGroupIds, (nint)group, (nint)group, (nint)group, 0, 0), $"setresgid {group}");
    }

    /// <summary>Call it last: a user other than root loses the thread's capabilities.</summary>
    internal static void SetUser(uint user) =>
        LinuxException.Check(Libc.SystemCall(KernelNumbers.Current.SetUserIds, (nint)user, (nint)user, (nint)user, 0, 0), $"setresuid {user}");

    /// <summary>A thread that changes its user closes the files in /proc of the whole process to others. This opens them
    /// again.</summary>
    internal static void ReopenProcess() => LinuxException.Check(Libc.ProcessControl(SetDumpable, 1, 0, 0, 0), "prctl PR_SET_DUMPABLE");
}
