using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>Admission refuses what the proxy does not honour: the list that it reads is what the proxy's code reads.</summary>
public sealed class ProxyFieldsTests
{
    /// <summary>Generated: <c>./test --accept</c> writes it.</summary>
    [Fact]
    public void The_list_is_what_the_proxy_reads() => Golden.VerifyFile(ReadFields.Print(), Repository.At("src/Isthmus.Mesh/Config/proxy-fields.txt"));

    [Fact]
    public void Each_exception_is_a_field() =>
        Assert.Empty(ReadFields.Exceptions.Except(ReadFields.All.SelectMany(type => type.Fields.InDeclarationOrder()).Select(field => field.FullName)));
}
