using Isthmus.Proxy.Telemetry;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class ProcessLogTests
{
    [Theory]
    [InlineData("http", "ConnectionHandler")]
    [InlineData("config", "xds")]
    [InlineData("secret", "secrets")]
    [InlineData("hc", "HealthChecks")]
    [InlineData("misc", "Isthmus.Wire.Other")]
    public void A_logger_of_Envoy_sets_the_level_of_the_part_that_does_the_same(string logger, string category)
    {
        using var log = new ProcessLog(new StringWriter(), TimeProvider.System) { Level = LogLevel.Warning };
        var (part, other) = (log.CreateLogger(category), log.CreateLogger("DataPlane"));
        Assert.False(part.IsEnabled(LogLevel.Debug));
        Assert.True(log.TrySet(logger, LogLevel.Debug));
        Assert.True(part.IsEnabled(LogLevel.Debug));
        Assert.False(part.IsEnabled(LogLevel.None));
        Assert.False(other.IsEnabled(LogLevel.Information));
        Assert.Equal([(logger, LogLevel.Debug)], log.Loggers.Where(item => item.Level != LogLevel.Warning));
        log.Level = LogLevel.Error;
        Assert.False(part.IsEnabled(LogLevel.Warning));
    }

    [Fact]
    public void Other_names_are_refused_and_every_part_listens_to_a_known_one()
    {
        using var log = new ProcessLog(TextWriter.Null, TimeProvider.System);
        Assert.False(log.TrySet("ConnectionHandler", LogLevel.Debug));
        string[] parts = ["xds", "files", "secrets", "ListenerSockets", "HealthChecks", "ConnectionHandler", "DataPlane", "other"];
        Assert.Empty(parts.SelectMany(EnvoyLoggers.Of).Except(EnvoyLoggers.All));
        Assert.Equal(EnvoyLoggers.All.Order(StringComparer.Ordinal), EnvoyLoggers.All);
    }
}
