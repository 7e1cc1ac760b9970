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

    /// <summary>kubectl describe sorts by lastTimestamp: an Event without it comes first, as Scheduled does on every
    /// cluster.</summary>
    [Fact]
    public void Events_of_the_scheduler_have_one_time()
    {
        var json = EventRecorder.Build("default-scheduler", Note.Normal(Kinds.Pod, Pod, "Scheduled", "m") with { Action = "Binding" }, PlanText.Now);
        Assert.Equal(("2030-01-01T12:00:00.000000Z", "Binding"), ((string?)json["eventTime"], (string?)json["action"]));
        Assert.False(json.ContainsKey("lastTimestamp") || json.ContainsKey("count") || json.ContainsKey("source"));
        var other = EventRecorder.Build("job-controller", Note.Normal(Kinds.Pod, Pod, "Completed", "m"), PlanText.Now);
        Assert.Equal(("2030-01-01T12:00:00Z", 1), ((string?)other["lastTimestamp"], (int)other["count"]!));
    }

    [Fact]
    public void A_repeated_event_names_what_it_is_about_and_who_reports_it()
    {
        var report = new EventReport(Kinds.Pod, Pod.Metadata, "Warning", "BackOff", new string('x', 2000),
            "kubelet") { Host = "node1", FieldPath = "spec.containers{web}" };
        var json = report.ToJson("a.1", PlanText.Now, PlanText.Now.AddSeconds(5), 3);
        Assert.Equal("""{"kind":"Pod","apiVersion":"v1","name":"a","namespace":"shop","uid":"1","fieldPath":"spec.containers{web}"}""",
            json["involvedObject"]!.ToJsonString());
        Assert.Equal("""{"component":"kubelet","host":"node1"}""", json["source"]!.ToJsonString());
        Assert.Equal(("2030-01-01T12:00:00Z", "2030-01-01T12:00:05Z", 3),
            ((string?)json["firstTimestamp"], (string?)json["lastTimestamp"], (int)json["count"]!));
        Assert.Equal(new string('x', 1021) + "...", (string?)json["message"]);
    }

    [Fact]
    public void Events_about_objects_without_a_namespace_are_in_default() =>
        Assert.Equal("default",
            (string?)new EventReport(Kinds.Node, new() { Name = "node1" }, "Normal", "NodeReady", "m", "node-controller").ToJson("a.1",
                PlanText.Now)["metadata"]!["namespace"]);
}
