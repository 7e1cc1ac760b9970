namespace Isthmus.Proxy.Telemetry;

/// <summary>A line of an access log for a service.</summary>
internal sealed record LogLine(DateTimeOffset Time, string Body, IReadOnlyList<KeyValuePair<string, string>> Attributes);

/// <summary>Takes lines for services. It never waits for one.</summary>
internal interface ILogServices
{
    void Add(Snapshot.LogServiceSnapshot service, LogLine line);
}
