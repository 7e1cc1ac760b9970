using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>The providers that a Telemetry names, and that cannot do what it asks for: they do not exist, or nothing is behind their service.</summary>
public static class TelemetryReferences
{
    internal const string Collector = "a collector of traces", Log = "an access log", Metrics = "Prometheus";

    private const string Code = "IST0101";

    public static IEnumerable<Problem> Missing(Telemetry telemetry, MeshView view)
    {
        var mesh = view.Mesh;
        foreach (var (i, rule) in telemetry.Tracing.Index())
        {
            if (rule.IsDisabled == true || rule.Providers.IsEmpty) continue;
            var tracer = mesh.Tracers.GetValueOrDefault(rule.Providers[0]);
            if (Lack(telemetry, view, rule.Providers[0], tracer is null ? null : (tracer.Service, tracer.Port), tracer is not null, Collector) is { } why)
                yield return At(telemetry, $"spec.tracing[{i}].providers[0].name", why);
        }
        foreach (var (i, rule) in telemetry.Logging.Index())
        {
            if (rule.IsDisabled) continue;
            foreach (var (at, provider) in rule.Providers.Index())
            {
                var logger = mesh.Loggers.GetValueOrDefault(provider);
                if (Lack(telemetry, view, provider, logger?.Service is { } service ? (service.Host, service.Port) : null, logger is not null, Log) is { } why)
                    yield return At(telemetry, $"spec.accessLogging[{i}].providers[{at}].name", why);
            }
        }
        foreach (var (i, rule) in telemetry.Metrics.Index())
        {
            foreach (var (at, provider) in rule.Providers.Index())
                if (!mesh.Prometheus.Contains(provider))
                    yield return At(telemetry, $"spec.metrics[{i}].providers[{at}].name", ProviderNames.NotFound(provider, Metrics));
        }
    }

    /// <param name="service">The service of the provider; null if it has none.</param>
    private static string? Lack(Telemetry telemetry, MeshView view, string provider, (string Host, int Port)? service, bool exists, string kind) =>
        !exists ? ProviderNames.NotFound(provider, kind)
        : service is not { } needed ? null
        : view.Find(needed.Host, needed.Port, telemetry.Namespace) is not { } known
        ? $"the provider \"{provider}\" has the service {needed.Host}, port {needed.Port}, which the mesh does not know"
        // Of other hosts, the control plane does not know where they are.
        : known.Resolution == Resolution.Endpoints && view.EndpointsOf(known.Hostname).Endpoints.All(endpoint => endpoint.Health != EndpointHealth.Ready)
        ? $"the provider \"{provider}\" has the service {needed.Host}, of which no endpoint is ready"
        : null;

    private static Problem At(Telemetry telemetry, string path, string message) =>
        new(Code, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", path, message,
            "correct the name, or extensionProviders in MeshConfig; create the Service if it is missing, and start its Pods");
}
