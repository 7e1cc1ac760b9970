using Isthmus.Kubernetes.Objects;
using Isthmus.Lab;
using Isthmus.Lab.Controllers.Framework;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class EventTests
{
    private static readonly Pod Pod = new() { Metadata = new() { Name = "a", Namespace = "shop", Uid = "1" } };

    [Fact]
    public void Names_are_in_the_order_of_time_and_never_the_same()
    {
        var names = new[] { 0, 0, 1, 1000 }.Select(ticks => EventNames.Of("a", PlanText.Now.AddYears(10).AddTicks(ticks))).ToList();
        Assert.Equal(names.Distinct().Order(StringComparer.Ordinal), names);
        Assert.All(names, name => Assert.Equal("a.".Length + 16, name.Length));
    }

    /// <summary>kubectl describe sorts by lastTimestamp: one without it stands first, as Scheduled does on every cluster.</summary>
    [Fact]
    public void Events_of_the_scheduler_have_one_time()
    {
        var json = EventRecorder.Build("default-scheduler", Note.Normal(Kinds.Pod, Pod, "Scheduled", "m") with { Action = "Binding" }, "shop", PlanText.Now);
        Assert.Equal(("2030-01-01T12:00:00.000000Z", "Binding"), ((string?)json["eventTime"], (string?)json["action"]));
        Assert.False(json.ContainsKey("lastTimestamp") || json.ContainsKey("count") || json.ContainsKey("source"));
        var other = EventRecorder.Build("job-controller", Note.Normal(Kinds.Pod, Pod, "Completed", "m"), "shop", PlanText.Now);
        Assert.Equal(("2030-01-01T12:00:00Z", 1), ((string?)other["lastTimestamp"], (int)other["count"]!));
    }
}
