using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>The providers that an object names and that MeshConfig does not have: what a MeshConfig alone can say about references.</summary>
public static class ProviderNames
{
    private const string Code = "IST0101", Remedy = "add the provider to extensionProviders in MeshConfig, or correct the name";

    /// <param name="value">What was read of an Istio object; null for nothing.</param>
    public static IEnumerable<Problem> Unknown(object? value, MeshConfig mesh) => value switch
    {
        AuthorizationPolicy { Action: PolicyAction.Custom, DryRun: false,
            Provider.Length: > 0 } policy when mesh.Authorizers.GetValueOrDefault(policy.Provider) is null =>
            [new(Code, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "spec.provider.name",
                $"{NotFound(policy.Provider, "an external authorizer")}: requests that match are denied", Remedy, Severity.Warning)],
        Telemetry telemetry => Of(telemetry, mesh)
            .Select(unknown => new Problem(Code, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", unknown.Path, NotFound(unknown.Provider, unknown.Kind),
                Remedy, Severity.Warning)),
        _ => [],
    };

    private static IEnumerable<(string Path, string Provider, string Kind)> Of(Telemetry telemetry, MeshConfig mesh)
    {
        foreach (var (i, rule) in telemetry.Tracing.Index())
            if (rule is { IsDisabled: not true, Providers.IsEmpty: false } && mesh.Tracers.GetValueOrDefault(rule.Providers[0]) is null)
                yield return ($"spec.tracing[{i}].providers[0].name", rule.Providers[0], TelemetryReferences.Collector);
        foreach (var (i, rule) in telemetry.Logging.Index().Where(rule => !rule.Item.IsDisabled))
            foreach (var (at, provider) in rule.Providers.Index().Where(provider => mesh.Loggers.GetValueOrDefault(provider.Item) is null))
                yield return ($"spec.accessLogging[{i}].providers[{at}].name", provider, TelemetryReferences.Log);
        foreach (var (i, rule) in telemetry.Metrics.Index())
            foreach (var (at, provider) in rule.Providers.Index().Where(provider => !mesh.Prometheus.Contains(provider.Item)))
                yield return ($"spec.metrics[{i}].providers[{at}].name", provider, TelemetryReferences.Metrics);
    }

    internal static string NotFound(string provider, string kind) =>
        $"Referenced provider not found: \"{provider}\" is not {kind} in extensionProviders of MeshConfig";
}
