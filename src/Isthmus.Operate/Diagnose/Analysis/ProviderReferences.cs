using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Providers that do not exist: of AuthorizationPolicies with the action CUSTOM, which then deny what they match, and of Telemetries,
/// whose requests are then not traced, not logged or not counted. Pure.</summary>
public static class ProviderReferences
{
    private const string Denied = "requests that match are denied", Untraced = "requests are not traced", Unlogged = "it is not written",
        Uncounted = "without another provider, requests are not counted";

    public static Analyzer Analyzer
    {
        get;
    } = new("mesh.ProviderAnalyzer", "Checks that the extension providers that policies and Telemetries name exist, and that Pods are ready behind them",
        [IstioCodes.ReferencedResourceNotFound], ["Service", "Pod"], mesh => Check(mesh.Readable, mesh.ReadsAll));

    /// <param name="isAll">Whether all clusters of the mesh are among them: one that was not read may have the service of a provider.</param>
    private static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters, bool isAll)
    {
        var hosts = clusters.SelectMany(cluster => cluster.Services.Select(service => $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.")
            .Concat(cluster.Istio<ServiceEntry>().SelectMany(entry => entry.Hosts))).ToHashSet(StringComparer.Ordinal);
        (string Message, string Remedy)? Lack(string ns, string provider, string service, int port, string result) => !isAll ? null
            : Unknown(ns, provider, service, hosts, result) ?? Closed(provider, service, port, clusters, result) ?? Away(provider, service, clusters, result);
        return
            (from cluster in clusters
             where cluster.Authorizers is not null
             from policy in cluster.Istio<AuthorizationPolicy>()
             where policy is { Action: PolicyAction.Custom, DryRun: false, Provider.Length: > 0 }
             let authorizer = cluster.Authorizers!.Value.Items.GetValueOrDefault(policy.Provider)
             let lack = authorizer is null ? NotFound(policy.Provider, "an external authorizer", Denied)
                 : Lack(policy.Namespace, policy.Provider, authorizer.Service, authorizer.Port, Denied)
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
                let lack = tracer is null
                    ? NotFound(provider, "a collector of traces (zipkin or opentelemetry)", Untraced)
                    : Lack(telemetry.Namespace, provider, tracer.Service, tracer.Port, Untraced)
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
                let lack = logger is null
                    ? NotFound(provider.Item, "an access log", Unlogged)
                    : logger.Service is { } service
                    ? Lack(telemetry.Namespace, provider.Item, service.Host, service.Port, Unlogged)
                    : null
                where lack is not null
                select Of(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", $"spec.accessLogging[{rule.Index}].providers[{provider.Index}].name",
                    lack.Value))
            .Concat(
                from cluster in clusters
                where cluster.Prometheus is not null
                from telemetry in cluster.Istio<Telemetry>()
                from rule in telemetry.Metrics.Items.Index()
                from provider in rule.Item.Providers.Items.Index()
                where !cluster.Prometheus!.Value.Contains(provider.Item)
                select Of(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}", $"spec.metrics[{rule.Index}].providers[{provider.Index}].name",
                    NotFound(provider.Item, "Prometheus", Uncounted)));
    }

    private static Finding Of(ClusterInventory cluster, string name, string path,
        (string Message, string Remedy) lack) => new(cluster.Context, new("IST0101", name, path, lack.Message, lack.Remedy));

    private static (string Message, string Remedy) NotFound(string provider, string kind, string result) =>
        ($"Referenced provider not found: \"{provider}\" is not {kind} in extensionProviders of MeshConfig; {result}",
            "add the provider to MeshConfig, or correct the name");

    /// <param name="ns">That of the object: control planes complete a short name by the namespace of the workload.</param>
    private static (string Message, string Remedy)? Unknown(string ns, string provider, string service, HashSet<string> hosts, string result)
    {
        var host = HostOf(service);
        return hosts.Contains(host) || (InCluster(host) is { } inside && hosts.Contains($"{inside.Name}.{inside.Namespace}.svc."))
            || hosts.Contains($"{host}.svc.") || hosts.Contains($"{host}.{ns}.svc.") ? null
            : ($"the provider \"{provider}\" has the service {service}, which is neither a Service nor a ServiceEntry; {result}",
                "create the Service, or correct extensionProviders in MeshConfig");
    }

    /// <summary>The service has other ports, in all clusters that have it.</summary>
    private static (string Message, string Remedy)? Closed(string provider, string service, int port, IReadOnlyList<ClusterInventory> clusters, string result)
    {
        if (InCluster(HostOf(service)) is not { } at) return null;
        var known = clusters.Select(cluster => cluster.Service(at.Namespace, at.Name)).OfType<Service>().ToList();
        return known.Count == 0 || known.Exists(one => one.Spec.Ports.Count == 0 || one.Spec.Ports.Exists(open => open.Port == port)) ? null
            : ($"the provider \"{provider}\" has the service {service}, which has no port {port}: it has "
                + $"{string.Join(", ", known[0].Spec.Ports.Select(open => open.Port))}; {result}", "correct the port in extensionProviders in MeshConfig");
    }

    /// <summary>Where files are analyzed, there are no Pods; where a Service selects none, somebody else says what is behind it.</summary>
    private static (string Message, string Remedy)? Away(string provider, string service, IReadOnlyList<ClusterInventory> clusters, string result)
    {
        if (InCluster(HostOf(service)) is not { } at) return null;
        var selecting = clusters.Where(cluster => cluster.Pods.Count > 0 && cluster.Service(at.Namespace, at.Name) is { Spec.Selector.Count: > 0 }).ToList();
        return selecting.Count == 0
            || selecting.Any(cluster => HasReadyPod(cluster, at.Namespace, new() { MatchLabels = cluster.Service(at.Namespace, at.Name)!.Spec.Selector }))
            ? null
            : ($"the provider \"{provider}\" has the service {service}, behind which no Pod is ready; {result}",
                $"start its Pods; 'kubectl -n {at.Namespace} describe service {at.Name}' shows what it selects");
    }

    private static bool HasReadyPod(ClusterInventory cluster, string ns, LabelSelector selector) =>
        cluster.Pods.Any(pod => pod.Metadata.Namespace == ns && pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null
            && selector.Matches(pod.Metadata.Labels));

    /// <summary>The host, without the namespace that may stand before it.</summary>
    private static string HostOf(string service) => service[(service.IndexOf('/', StringComparison.Ordinal) + 1)..];

    private static (string Name, string Namespace)? InCluster(string host) => host.Split('.') is [var name, var ns, "svc", ..] ? (name, ns) : null;
}
