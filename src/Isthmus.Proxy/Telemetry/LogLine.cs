namespace Isthmus.Proxy.Telemetry;

/// <summary>A line of an access log for a service.</summary>
internal sealed record LogLine(DateTimeOffset Time, string Body, IReadOnlyList<KeyValuePair<string, string>> Attributes);

/// <summary>Takes what services are told. It never waits for one.</summary>
internal interface ILogServices
{
    void Add(ServiceLog log, TrafficRecord record);
}
