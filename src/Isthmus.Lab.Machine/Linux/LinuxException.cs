using System.Runtime.InteropServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>A system call that failed: its name, its target, and errno with its name.</summary>
internal sealed class LinuxException : IOException
{
    internal LinuxException(string operation, int errno)
        : base($"{operation}: {Marshal.GetPInvokeErrorMessage(errno)} ({ErrnoName(errno)})") => Errno = errno;

    internal const int EPerm = 1, ENoEnt = 2, ESrch = 3, EIntr = 4, EIo = 5, EAgain = 11, EAccess = 13, EBusy = 16, EExist = 17, ENoDev = 19, EInval = 22,
        ENoSpc = 28, EOpNotSupp = 95, EAddrNotAvail = 99, ENetUnreach = 101, EConnRefused = 111, EInProgress = 115;

    internal int Errno { get; }

    /// <summary>Throws when <paramref name="result"/> is -1. Call it directly after the system call.</summary>
    internal static int Check(int result, string operation) =>
        result != -1 ? result : throw new LinuxException(operation, Marshal.GetLastPInvokeError());

    internal static nint Check(nint result, string operation) =>
        result != -1 ? result : throw new LinuxException(operation, Marshal.GetLastPInvokeError());

    private static string ErrnoName(int errno) => errno switch
    {
        EPerm => "EPERM",
        ENoEnt => "ENOENT",
        ESrch => "ESRCH",
        EIntr => "EINTR",
        EIo => "EIO",
        EAgain => "EAGAIN",
        EAccess => "EACCES",
        EBusy => "EBUSY",
        EExist => "EEXIST",
        ENoDev => "ENODEV",
        EInval => "EINVAL",
        ENoSpc => "ENOSPC",
        EOpNotSupp => "EOPNOTSUPP",
        ENetUnreach => "ENETUNREACH",
        _ => $"errno {errno}",
    };
}
