using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Runtime.Versioning;
using Isthmus.Images.Description;

namespace Isthmus;

/// <summary>
/// Starts the program again in its build for newer processors, where there is one beside it (<c>tools/native x86-64-v3</c>): it does a tenth more per CPU
/// second. The other build starts on every processor. Only what runs for long gains from it: a start costs some milliseconds.
/// </summary>
[SupportedOSPlatform("linux")]
internal static partial class ProcessorLevel
{
    private static bool RunsLong(string[] args) => args is ["proxy" or "discovery", ..];

    /// <summary>Returns if this build is the one to run.</summary>
    internal static void Choose(string[] args)
    {
        if (!ProgramLayout.IsNative || !RunsLong(args) || !HasLevel3()) return;
        var program = Path.Combine(Path.GetDirectoryName(Environment.ProcessPath!)!, ProgramLayout.Level3, Path.GetFileName(Environment.ProcessPath!));
        // If it cannot be started, this build goes on.
        if (File.Exists(program)) Execute(program, [program, .. args, null]);
    }

    /// <summary>Whether the processor has all of the level x86-64-v3 of the System V ABI, and the system saves the registers of AVX. In this build, .NET says
    /// of AVX that it is not supported: the compiler was not to use it.</summary>
    private static bool HasLevel3()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 0xD) return false;
        const int Fma = 1 << 12, Movbe = 1 << 22, OsXsave = 1 << 27, Avx = 1 << 28, F16c = 1 << 29, All = Fma | Movbe | OsXsave | Avx | F16c;
        const int Bmi1 = 1 << 3, Avx2 = 1 << 5, Bmi2 = 1 << 8, Wide = Bmi1 | Avx2 | Bmi2;
        const int Lzcnt = 1 << 5;
        // The size of what the system saves: up to its header without AVX.
        const int WithoutAvx = 512 + 64;
        return (X86Base.CpuId(1, 0).Ecx & All) == All && (X86Base.CpuId(7, 0).Ebx & Wide) == Wide
            && (X86Base.CpuId(unchecked((int)0x80000001), 0).Ecx & Lzcnt) == Lzcnt && X86Base.CpuId(0xD, 0).Ebx > WithoutAvx;
    }

    /// <summary>execv(3): the program takes the place of this one, with its environment. Returns only if it could not be started.</summary>
    [LibraryImport("libc", EntryPoint = "execv", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string path, string?[] arguments);
}
