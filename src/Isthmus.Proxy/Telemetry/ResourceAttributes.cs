namespace Isthmus.Proxy.Telemetry;

/// <summary>What reports to OpenTelemetry collectors say of the workload, beside the name of its service. Compared by reference: there are few.</summary>
/// <param name="Service">The name of the service; empty: not said.</param>
internal sealed class ResourceAttributes(string service, IReadOnlyList<KeyValuePair<string, string>> others)
{
    private const string ServiceName = "service.name";

    public static readonly ResourceAttributes None = new("", []);

    public string Service => service;

    public IReadOnlyList<KeyValuePair<string, string>> Others => others;

    /// <summary>
    /// Reads the variables of the specification (https://opentelemetry.io/docs/specs/otel/resource/sdk/): <c>KEY=VALUE,KEY=VALUE</c>, with percent
    /// encoding. As it demands, a text that is not of this form counts for nothing as a whole.
    /// </summary>
    /// <param name="variable">OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, which wins.</param>
    public static ResourceAttributes Read(Func<string, string?> variable)
    {
        var found = new List<KeyValuePair<string, string>>();
        foreach (var pair in (variable("OTEL_RESOURCE_ATTRIBUTES") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (pair.Split('=', 2, StringSplitOptions.TrimEntries) is not [{ Length: > 0 } key, var value])
            {
                found.Clear();
                break;
            }
            found.RemoveAll(known => known.Key == key);
            found.Add(new(key, Uri.UnescapeDataString(value)));
        }
        var name = variable("OTEL_SERVICE_NAME") is { Length: > 0 } own ? own : found.Where(pair => pair.Key == ServiceName).Select(pair => pair.Value).FirstOrDefault("");
        return new(name, [.. found.Where(pair => pair.Key != ServiceName)]);
    }
}
