using System.IO.Compression;
using Isthmus.Testing;
using Mono.Cecil;
using Mono.Cecil.Cil;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>The profile by which <c>tools/native</c> optimizes. Its compiler skips what it does not find, without a word.</summary>
public sealed class NativeProfileTests
{
    private const string Profile = "src/isthmus/Native.mibc";

    [Fact]
    public void Most_methods_of_the_profile_are_still_there()
    {
        using var resolver = new DefaultAssemblyResolver();
        resolver.AddSearchDirectory(AppContext.BaseDirectory);
        using var module = Read(resolver);
        var ours = Methods(module).Where(method => Assembly(method).StartsWith("Isthmus.", StringComparison.Ordinal)).ToList();

        Assert.Contains(ours, method => Assembly(method) == "Isthmus.Proxy");
        var gone = ours.Where(method => method.Resolve() is null).Select(method => method.FullName).ToList();
        Assert.True(gone.Count * 5 < ours.Count,
            $"{gone.Count} of {ours.Count} methods in {Profile} are gone: record it again with 'bench/run profile'. "
                + $"The first are {string.Join(", ", gone.Take(5))}");
    }

    private static ModuleDefinition Read(IAssemblyResolver resolver)
    {
        using var archive = ZipFile.OpenRead(Repository.At(Profile));
        using var entry = Assert.Single(archive.Entries).Open();
        var bytes = new MemoryStream();
        entry.CopyTo(bytes);
        bytes.Position = 0;
        return ModuleDefinition.ReadModule(bytes, new ReaderParameters { AssemblyResolver = resolver });
    }

    /// <summary>A record is the token of a method, and then its weight and more. Other tokens are what its calls have met.</summary>
    private static IEnumerable<MethodReference> Methods(ModuleDefinition module) =>
        from method in module.Types.Single(type => type.Name == "<Module>").Methods
        from instruction in method.Body.Instructions
        where instruction.OpCode == OpCodes.Ldtoken && instruction.Next?.Operand is "ExclusiveWeight"
        select (MethodReference)instruction.Operand;

    private static string Assembly(MethodReference method) => method.DeclaringType.GetElementType().Scope.Name;
}
