using System.Text.Json.Nodes;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services that API servers call, for aggregated APIs and webhooks, while the proxies of their Pods demand mutual TLS. Pure.</summary>
public static class ApiServerCalls
{
    private const int DefaultPort = 443;

    public static Analyzer Analyzer
    {
        get;
    } = new("authn.ApiServerAnalyzer", "Checks that proxies let the calls of API servers to aggregated APIs and webhooks through",
        [WorkloadCodes.ApiServerRefused], ["Service", "Pod", "PeerAuthentication"], mesh =>
        from area in mesh.Workloads
        let owner = AcceptedTls.Owner(mesh, area)
        from call in OfApis(area.Cluster).Concat(OfWebhooks(area.Cluster, MeshApi.MutatingWebhookConfiguration))
            .Concat(OfWebhooks(area.Cluster, MeshApi.ValidatingWebhookConfiguration))
            // Webhooks of one configuration mostly have one Service.
            .DistinctBy(call => (call.Caller, call.Namespace, call.Service, call.Port))
        let service = area.Cluster.Service(call.Namespace, call.Service)
        let port = service?.Spec.Ports.Find(port => port.Port == call.Port)
        where port is not null
        let refusing = area.Behind(service).FirstOrDefault(workload => Refuses(owner, workload, AcceptedTls.TargetOf(port, workload.Pod!)))
        where refusing is not null
        select WorkloadCodes.ApiServerRefused.At(area.Cluster, call.Caller, call.Path,
            $"calls port {call.Port} of Service {service.Key} without mutual TLS, which the proxy of {refusing.Name} demands there (STRICT), so that every "
                + "call fails"));

    private static bool Refuses(ConfigCluster owner, Workload workload, int port) =>
        workload is { HasProxy: true, Pod: { Spec.HostNetwork: false } pod } && !ExcludedPorts.Bypasses(pod, port)
            && AcceptedTls.Of(owner, workload).ForPort(port) == MtlsMode.Strict;

    private static IEnumerable<Call> OfApis(ClusterInventory cluster) =>
        from api in cluster.Objects(MeshApi.ApiService.Kind)
        where api["spec"]?["service"] is JsonObject
        select Call.To((JsonObject)api["spec"]!["service"]!, $"APIService {api["metadata"]?["name"]}", "spec.service");

    private static IEnumerable<Call> OfWebhooks(ClusterInventory cluster, KindDescriptor kind) =>
        from configuration in cluster.Objects(kind.Kind)
        from webhook in (configuration["webhooks"] as JsonArray ?? []).Index()
        where webhook.Item?["clientConfig"]?["service"] is JsonObject
        select Call.To((JsonObject)webhook.Item!["clientConfig"]!["service"]!, $"{kind.Kind} {configuration["metadata"]?["name"]}",
            $"webhooks[{webhook.Index}].clientConfig.service");

    /// <param name="Caller">The object that makes API servers call.</param>
    private sealed record Call(string Caller, string Path, string Namespace, string Service, int Port)
    {
        internal static Call To(JsonObject service, string caller, string path) =>
            new(caller, path, service["namespace"]?.ToString() ?? "", service["name"]?.ToString() ?? "",
                service["port"] is JsonValue port && port.TryGetValue(out int number) ? number : DefaultPort);
    }
}
