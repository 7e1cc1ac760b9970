using System.Runtime.InteropServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Numbers of the kernel's interface that differ between architectures. System calls from 403 on, and the other numbers in
/// <see cref="Libc"/>, are the same on all of them.</summary>
/// <param name="PivotRoot">Number of the system call, like the next three.</param>
/// <param name="DirectoryFlag">O_DIRECTORY. On arm64, the value of x86-64 means O_DIRECT.</param>
internal sealed record KernelNumbers(nint PivotRoot, nint SetGroups, nint SetUserIds, nint SetGroupIds, int DirectoryFlag)
{
    internal static KernelNumbers Current { get; } = Of(RuntimeInformation.ProcessArchitecture);

    internal static KernelNumbers Of(Architecture architecture) => architecture switch
    {
        Architecture.X64 => new(155, 116, 117, 119, 0x10000),
        Architecture.Arm64 => new(41, 159, 147, 149, 0x4000),
        Architecture.RiscV64 or Architecture.LoongArch64 => new(41, 159, 147, 149, 0x10000),
        _ => throw new PlatformNotSupportedException($"the lab does not support {architecture}"),
    };
}
