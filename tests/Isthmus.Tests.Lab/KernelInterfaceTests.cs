using System.Reflection;
using System.Runtime.InteropServices;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;
using Xunit;
using Cpu = System.Runtime.InteropServices.Architecture;

namespace Isthmus.Tests.Lab;

/// <summary>Numbers and layouts of the kernel's and the C library's interface, for x86-64 and arm64.</summary>
public sealed class KernelInterfaceTests
{
    // From arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h, and the files fcntl.h of both.
    [Theory]
    [InlineData(Cpu.X64, 155, 116, 117, 119, 0x10000)]
    [InlineData(Cpu.Arm64, 41, 159, 147, 149, 0x4000)]
    public void Numbers_are_those_of_the_architecture(Cpu architecture, int pivotRoot, int setGroups, int setUserIds, int setGroupIds, int directory) =>
        Assert.Equal(new(pivotRoot, setGroups, setUserIds, setGroupIds, directory), KernelNumbers.Of(architecture));

    [Fact]
    public void An_architecture_that_nobody_checked_is_refused() => Assert.Throws<PlatformNotSupportedException>(() => KernelNumbers.Of(Cpu.S390x));

    /// <summary>x86-64 and arm64 share these: every field has its natural alignment. What is packed on x86-64 only (epoll_event), or differs (stat), is not
    /// used.</summary>
    [Fact]
    public void Layouts_are_those_of_both_architectures()
    {
        Type[] types = [typeof(Libc.PollEntry), typeof(Libc.IoVector), typeof(Libc.MessageHeader),
            typeof(DescriptorMessage).GetNestedType("Rights", BindingFlags.NonPublic)!];
        var layouts = types
            .OrderBy(type => type.Name, StringComparer.Ordinal)
            .Select(type => $"{type.Name} {Marshal.SizeOf(type)}: {string.Join(' ', Offsets(type))}");
        Assert.Equal(
        [
            "IoVector 16: Base@0 Length@8",
            "MessageHeader 56: Name@0 NameLength@8 Vectors@16 VectorCount@24 Control@32 ControlLength@40 Flags@48",
            "PollEntry 8: Descriptor@0 Events@4 Returned@6",
            "Rights 24: Length@0 Level@8 Type@12 Descriptor@16 Padding@20",
        ], layouts);
    }

    /// <summary>A structure that is passed to the C library must be one of those above.</summary>
    [Fact]
    public void Only_these_structures_are_passed()
    {
        var passed =
            from assembly in (Assembly[])[typeof(Libc).Assembly, typeof(Spawn).Assembly, typeof(Isthmus.Lab.ApiServer.ApiServerHost).Assembly,
                typeof(Isthmus.Images.Unpacking.ImageUnpacker).Assembly]
            from type in assembly.GetTypes()
            from method in type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            where method.Attributes.HasFlag(MethodAttributes.PinvokeImpl)
            from parameter in method.GetParameters()
            let pointed = Pointed(parameter.ParameterType)
            where pointed is { IsValueType: true, IsPrimitive: false } && pointed != typeof(void)
            select pointed.Name;
        Assert.Equal(["MessageHeader", "PollEntry"], passed.Distinct().Order(StringComparer.Ordinal));
    }

    private static Type Pointed(Type type) => type.IsPointer || type.IsByRef ? Pointed(type.GetElementType()!) : type;

    private static IEnumerable<string> Offsets(Type type) =>
        type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public)
            .Select(field => $"{field.Name}@{Marshal.OffsetOf(type, field.Name)}");
}
