using System.Text.RegularExpressions;
using Isthmus.Mesh.Config;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>A cause that looks at objects of a kind finds none where a trace does not read the kind.</summary>
public sealed partial class ReadKindsTests
{
    [Fact]
    public void A_trace_reads_every_kind_of_Istio_that_its_causes_ask_for()
    {
        var asked = Repository.Sources("src/Isthmus.Explain").SelectMany(file => file.Lines).SelectMany(line => Asked().Matches(line))
            .Select(match => match.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var kinds = MeshApi.Istio.Where(kind => asked.Contains(kind.Kind)).ToList();
        Assert.True(kinds.Count > 8, string.Join(", ", asked));
        Assert.Empty(kinds.Where(kind => (kind.Uses & (KindUse.Trace | KindUse.TraceIfAllowed)) == KindUse.None).Select(kind => kind.Kind));
    }

    [GeneratedRegex(@"\bIstio<(\w+)>")]
    private static partial Regex Asked();
}
