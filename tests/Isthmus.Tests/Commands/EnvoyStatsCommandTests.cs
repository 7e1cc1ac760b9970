using Isthmus.Commands;
using Isthmus.Core.Problems;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>Where the merged statistics of a Pod are.</summary>
public sealed class EnvoyStatsCommandTests
{
    [Fact]
    public void The_port_is_that_of_the_annotation() => Assert.Equal(15020, EnvoyStatsCommand.MergedPort("Pod shop/web", Annotation("15020")));

    [Theory]
    [InlineData("99999")]
    [InlineData("0")]
    [InlineData("http")]
    public void What_is_no_port_is_named(string text) =>
        Assert.Equal($"Pod shop/web: has '{text}' in its annotation prometheus.io/port, which is no port (correct it, or use -o prom)",
            Assert.Throws<ProblemException>(() => EnvoyStatsCommand.MergedPort("Pod shop/web", Annotation(text))).Message);

    private static Dictionary<string, string> Annotation(string port) => new() { ["prometheus.io/port"] = port };
}
