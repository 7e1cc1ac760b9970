using Isthmus.ControlPlane.Running;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

public sealed class LogLevelsTests
{
    [Fact]
    public void Scopes_of_istiod_stand_for_the_part_that_does_the_same()
    {
        using var levels = new LogLevels();
        levels.CreateLogger("Isthmus.ControlPlane.Push.PushEngine");
        levels.CreateLogger("Isthmus.ControlPlane.Ca.CaState");
        Assert.Equal(["ads", "ca", "delta", "pkica", "pkira", "push", "rootcertrotator", "security", "serverca", "status"], levels.Scopes);
        Assert.True(levels.TrySet("ads", "debug"));
        Assert.Equal(("debug", "debug", "info"), (levels.Of("ads"), levels.Of("push"), levels.Of("ca")));
        Assert.True(levels.IsEnabled("Isthmus.ControlPlane.Push.PushEngine", LogLevel.Debug));
        Assert.False(levels.IsEnabled("Isthmus.ControlPlane.Ca.CaState", LogLevel.Debug));
        // A part of which there are no messages has no scope, by neither name.
        Assert.Null(levels.Of("validation"));
        Assert.False(levels.TrySet("validation", "debug"));
        Assert.False(levels.TrySet("nothing", "debug"));
    }
}
