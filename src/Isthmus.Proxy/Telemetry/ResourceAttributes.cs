namespace Isthmus.Proxy.Telemetry;

/// <summary>What reports to OpenTelemetry collectors say of the workload, beside the name of its service. Compared by reference: there are few.</summary>
/// <param name="Service">The name of the service; empty: not said.</param>
internal sealed class ResourceAttributes(string service, IReadOnlyList<KeyValuePair<string, string>> others)
{
    /// <summary>The longest file of attributes that is read.</summary>
    private const int MostText = 64 * 1024;

    /// <summary>What Dynatrace's agent provides: the first file names another one, which only the process itself can see.</summary>
    private static readonly string[] DynatraceFiles =
    [
        "dt_metadata_e617c525669e072eebe3d0f08212e8f2.properties",
        "/var/lib/dynatrace/enrichment/dt_metadata.properties",
        "/var/lib/dynatrace/enrichment/dt_host_metadata.properties",
    ];

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
            found.Add(new(key, Uri.UnescapeDataString(value)));
        }
        if (variable("OTEL_SERVICE_NAME") is { Length: > 0 } own) found.Add(new(ServiceName, own));
        return Of(found);
    }

    /// <summary>Reads the files that Dynatrace's agent provides, where there are any: <c>KEY=VALUE</c> in each line, and others count for nothing.</summary>
    /// <param name="read">The text of a file; null: it cannot be read.</param>
    public static ResourceAttributes ReadDynatrace(Func<string, string?> read)
    {
        var found = new List<KeyValuePair<string, string>>();
        foreach (var file in DynatraceFiles)
        {
            var text = Path.IsPathRooted(file) ? read(file) : read(file)?.Trim() is { Length: > 0 } named ? read(named) : null;
            if (text is null || text.Length > MostText) continue;
            foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries))
            {
                if (line.Split('=', 2, StringSplitOptions.TrimEntries) is [{ Length: > 0 } key, { Length: > 0 } value]) found.Add(new(key, value));
            }
        }
        return Of(found);
    }

    /// <summary>Both; what the other one says wins.</summary>
    public ResourceAttributes With(ResourceAttributes other) =>
        new(other.Service.Length > 0 ? other.Service : Service, [.. Others.Where(pair => other.Others.All(newer => newer.Key != pair.Key)), .. other.Others]);

    private static ResourceAttributes Of(List<KeyValuePair<string, string>> found)
    {
        var last = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in found) last[key] = value;
        return new(last.GetValueOrDefault(ServiceName, ""), [.. last.Where(pair => pair.Key != ServiceName)]);
    }
}
