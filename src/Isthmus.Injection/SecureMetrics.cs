using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Injection;

/// <summary>Ports at which proxies serve metrics behind mesh TLS, if variables of the proxy name them (Istio 1.31). They are never captured:
/// who scrapes them speaks TLS with the agent itself.</summary>
internal static class SecureMetrics
{
    /// <summary>How collectors learn of the port with the merged metrics.</summary>
    internal const string Annotation = "prometheus.istio.io/secure-port";

    private const string Own = "ENVOY_SECURE_METRICS_PORT", Merged = "ENVOY_SECURE_MERGED_METRICS_PORT";

    /// <summary>The port with the metrics of proxy, agent and application; null for none.</summary>
    internal static int? MergedPort(InjectionInputs inputs) => Port(inputs, Merged);

    internal static IEnumerable<int> Ports(InjectionInputs inputs) => new[] { Port(inputs, Own), Port(inputs, Merged) }.OfType<int>();

    /// <exception cref="ProblemException">The variable is not a port.</exception>
    private static int? Port(InjectionInputs inputs, string name)
    {
        if (Variable(inputs, name) is not { Length: > 0 } text) return null;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > 65535)
            throw new ProblemException($"variable {name} of the proxy", $"'{text}' is not a port", "use a number, for example 15091, or 0 for none");
        return port == 0 ? null : port;
    }

    /// <summary>What the Pod says of the proxy's container wins over ProxyConfig.</summary>
    private static string? Variable(InjectionInputs inputs, string name)
    {
        var containers = ((string[])["containers", "initContainers"]).SelectMany(field => inputs.Pod["spec"]?[field] as JsonArray ?? []).OfType<JsonObject>();
        var own = containers.Where(container => container["name"]?.ToString() == ProxyContainer.Name)
            .SelectMany(container => container["env"] as JsonArray ?? [])
            .OfType<JsonObject>().LastOrDefault(variable => variable["name"]?.ToString() == name);
        return own is not null
            ? own["value"]?.ToString()
            : inputs.ProxyMetadata.Where(variable => variable.Key == name).Select(variable => variable.Value).FirstOrDefault();
    }
}
