using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>A core/v1 Event as a component reports it.</summary>
/// <param name="Type"><c>Normal</c> or <c>Warning</c>.</param>
/// <param name="Component">The component that reports the event, such as <c>kubelet</c>.</param>
public sealed record EventReport(ResourceKind Kind, ObjectMeta About, string Type, string Reason, string Message, string Component)
{
    // API servers reject longer messages.
    private const int LongestMessage = 1024;

    /// <summary>The part of the object that the event is about, such as <c>spec.containers{NAME}</c>. Empty for the whole object.</summary>
    public string FieldPath { get; set; } = "";

    /// <summary>The node or Pod on which the component runs. Empty if there is only one of it in a cluster.</summary>
    public string Host { get; set; } = "";

    /// <summary>
    /// What the component was doing. If set, the event has the form of events.k8s.io: one time and no count, as the scheduler writes it.
    /// kubectl describe sorts by <c>lastTimestamp</c>, so it shows such an event first.
    /// </summary>
    public string Action { get; set; } = "";

    /// <summary>Events about objects without a namespace are in <c>default</c>.</summary>
    public string Namespace => About.Namespace.Length > 0 ? About.Namespace : "default";

    /// <summary>A new event.</summary>
    public JsonObject ToJson(string name, DateTimeOffset now) => ToJson(name, now, now, 1);

    /// <summary>An event that happened <paramref name="count"/> times.</summary>
    public JsonObject ToJson(string name, DateTimeOffset first, DateTimeOffset last, int count)
    {
        var json = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Event",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = Namespace },
            ["involvedObject"] = Reference(), ["type"] = Type, ["reason"] = Reason,
            ["message"] = Message.Length <= LongestMessage ? Message : Message[..(LongestMessage - 3)] + "...",
        };
        if (Action.Length > 0)
        {
            (json["eventTime"], json["action"]) = (ApiTime.Micros(first), Action);
        }
        else
        {
            var source = new JsonObject { ["component"] = Component };
            if (Host.Length > 0) source["host"] = Host;
            json["source"] = source;
            (json["firstTimestamp"], json["lastTimestamp"], json["count"]) = (ApiTime.Seconds(first), ApiTime.Seconds(last), count);
        }
        // An event of events.k8s.io must name an instance.
        (json["reportingComponent"], json["reportingInstance"]) = (Component, Host.Length == 0 && Action.Length > 0 ? Component : Host);
        return json;
    }

    private JsonObject Reference()
    {
        var about = new JsonObject { ["kind"] = Kind.Kind, ["apiVersion"] = Kind.ApiVersion, ["name"] = About.Name };
        foreach (var (field, value) in (ReadOnlySpan<(string, string)>)[("namespace", About.Namespace), ("uid", About.Uid),
            ("resourceVersion", About.ResourceVersion), ("fieldPath", FieldPath)])
        {
            if (value.Length > 0) about[field] = value;
        }
        return about;
    }
}
