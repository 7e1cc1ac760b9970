using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Providers that do not exist: of AuthorizationPolicies with the action CUSTOM, which then deny what they match, and of Telemetries,
/// whose requests are then not traced or not logged. Pure.</summary>
public static class ProviderReferences
{
    private const string Denied = "requests that match are denied", Untraced = "requests are not traced", Unlogged = "it is not written";

    public static Analyzer Analyzer { get; } = new("mesh.ProviderAnalyzer", "Checks that the extension providers that policies and Telemetries name exist", [IstioCodes.ReferencedResourceNotFound], ["Service"], mesh => Check(mesh.Readable));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var hosts = clusters.SelectMany(cluster => cluster.Services.Select(service => $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.")
            .Concat(cluster.Istio<ServiceEntry>().SelectMany(entry => entry.Hosts))).ToHashSet(StringComparer.Ordinal);
        return
            (from cluster in clusters
             where cluster.Authorizers is not null
             from policy in cluster.Istio<AuthorizationPolicy>()
             where policy is { Action: PolicyAction.Custom, DryRun: false, Provider.Length: > 0 }
             let authorizer = cluster.Authorizers!.Value.Items.GetValueOrDefault(policy.Provider)
             let lack = authorizer is null ? NotFound(policy.Provider, "an external authorizer", Denied) : Lack(policy.Provider, authorizer.Service, hosts, Denied)
             where lack is not null
             select Of(cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "spec.provider.name", lack.Value))
            .Concat(
                from cluster in clusters
                where cluster.Tracers is not null
                from telemetry in cluster.Istio<Telemetry>()
                from rule in telemetry.Tracing.Items.Index()
                where rule.Item is { Providers.IsEmpty: false, IsDisabled: not true }
                let provider = rule.Item.Providers[0]
                let tracer = cluster.Tracers!.Value.Items.GetValueOrDefault(provider)
                let lack = tracer is null ? NotFound(provider, "a collector of traces (zipkin or opentelemetry)", Untraced) : Lack(provider, tracer.Service, hosts, Untraced)
                where lack is not null
                select Of(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", $"spec.tracing[{rule.Index}].providers[0].name", lack.Value))
            .Concat(
                from cluster in clusters
                where cluster.Loggers is not null
                from telemetry in cluster.Istio<Telemetry>()
                from rule in telemetry.Logging.Items.Index()
                from provider in rule.Item.Providers.Items.Index()
                where !rule.Item.IsDisabled
                let logger = cluster.Loggers!.Value.Items.GetValueOrDefault(provider.Item)
                let lack = logger is null ? NotFound(provider.Item, "an access log", Unlogged) : logger.Service is { } service ? Lack(provider.Item, service.Host, hosts, Unlogged) : null
                where lack is not null
                select Of(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", $"spec.accessLogging[{rule.Index}].providers[{provider.Index}].name",
                    lack.Value));
    }

    private static Finding Of(ClusterInventory cluster, string name, string path, (string Message, string Remedy) lack) => new(cluster.Context, new("IST0101", name, path, lack.Message, lack.Remedy));

    private static (string Message, string Remedy)? NotFound(string provider, string kind, string result) =>
        ($"Referenced provider not found: \"{provider}\" is not {kind} in extensionProviders of MeshConfig; {result}", "add the provider to MeshConfig, or correct the name");

    private static (string Message, string Remedy)? Lack(string provider, string service, HashSet<string> hosts, string result)
    {
        var host = service[(service.IndexOf('/', StringComparison.Ordinal) + 1)..];
        var at = host.IndexOf(".svc.", StringComparison.Ordinal);
        return hosts.Contains(host) || (at > 0 && hosts.Contains(host[..(at + ".svc.".Length)])) ? null
            : ($"the provider \"{provider}\" has the service {service}, which is neither a Service nor a ServiceEntry; {result}", "create the Service, or correct extensionProviders in MeshConfig");
    }
}
