using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Finds objects of a cluster that name others which do not exist or do not work.</summary>
internal static class DanglingReferences
{
    /// <summary>Injection webhooks that no API server can call: their Service is missing or has no endpoints.</summary>
    public static async Task<IEnumerable<Problem>> DeadWebhooksAsync(ClusterLists lists, Task<IReadOnlyList<Service>> servicing,
        IReadOnlyList<InjectorWebhook> injectors, CancellationToken stop)
    {
        var (services, problems) = (await servicing, new List<Problem>());
        foreach (var configuration in injectors.Where(injector => injector.Service.Length > 0)
            .GroupBy(injector => injector.Configuration, StringComparer.Ordinal))
        {
            var name = $"MutatingWebhookConfiguration {configuration.Key}";
            foreach (var (ns, service) in configuration.Select(injector => (injector.Namespace, injector.Service)).Distinct())
            {
                var found = services.FirstOrDefault(one => one.Metadata.Namespace == ns && one.Metadata.Name == service);
                if (found is { Spec.ExternalName.Length: > 0 }) continue;
                if (found is null)
                {
                    problems.Add(new("ISM1008", name, "webhooks[*].clientConfig.service", $"Service {ns}/{service} does not exist, so no Pod can be injected",
                        "install the control plane again; or, if it is gone for good: "
                            + $"kubectl --context={lists.Client.Access.Name} delete mutatingwebhookconfiguration {configuration.Key}"));
                    continue;
                }
                // A Service without a selector may have Endpoints that someone wrote, as in the older form of
                // primary-remote.
                if (await MeshFactsReader.ReadyAsync(lists, found, stop) == 0
                    && (await lists.Client.FindAsync<Endpoints>(Kinds.Endpoints, ns, service, stop))?.Subsets.Any(subset => subset.Addresses.Count > 0) != true)
                    problems.Add(new("ISM1008", name, "webhooks[*].clientConfig.service",
                        $"Service {ns}/{service} has no ready endpoint, so no Pod can be injected",
                        $"kubectl --context={lists.Client.Access.Name} -n {ns} describe service {service}"));
            }
        }
        return problems;
    }

    /// <summary>Webhooks that validate Istio's objects, and call a Service that is missing: nobody can change these objects then.</summary>
    public static async Task<IEnumerable<Problem>> DeadValidatorsAsync(ClusterLists lists, Task<IReadOnlyList<Service>> servicing, CancellationToken stop)
    {
        var configurations = await lists.ListAsync<JsonObject>(MeshApi.ValidatingWebhookConfiguration, stop);
        var services = await servicing;
        return from webhook in configurations.SelectMany(ValidationWebhook.Read)
               where !services.Any(one => one.Metadata.Namespace == webhook.Namespace && one.Metadata.Name == webhook.Service)
               select new Problem("ISM1008", $"{ValidationWebhook.Kind} {webhook.Configuration}", $"webhooks[{webhook.Index}].clientConfig.service",
                   webhook.Missing, webhook.Remedy(lists.Client.Access.Name));
    }

    /// <summary>VirtualServices bound to Gateways that do not exist.</summary>
    public static async Task<IEnumerable<Problem>> LooseRoutesAsync(ClusterLists lists, IReadOnlyList<JsonObject> gateways, CancellationToken stop)
    {
        var routes = await lists.ListIfDefinedAsync(MeshApi.VirtualService, stop);
        if (!LooseRoutes(routes, gateways, []).Any()) return [];
        IReadOnlyList<JsonObject> others = [];
        try
        {
            others = await lists.ListIfDefinedAsync(MeshApi.ApiGateway, stop);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            // Then only those of Istio are known, which is what VirtualServices need.
        }
        return LooseRoutes(routes, gateways, others);
    }

    /// <summary>A bare name means a Gateway of the VirtualService's own namespace.</summary>
    /// <param name="others">The Gateways of the Gateway API.</param>
    internal static IEnumerable<Problem> LooseRoutes(IReadOnlyList<JsonObject> routes, IReadOnlyList<JsonObject> gateways, IReadOnlyList<JsonObject> others)
    {
        var (known, unfit) = (NamesOf(gateways), NamesOf(others));
        return from route in routes
               let ns = route["metadata"]?["namespace"]?.ToString() ?? ""
               from item in (route["spec"]?["gateways"] as JsonArray ?? []).Select((gateway, index) => (Name: gateway?.ToString() ?? "", Index: index))
               let full = item.Name.Contains('/', StringComparison.Ordinal) ? item.Name : $"{ns}/{item.Name}"
               where item.Name is not ("mesh" or "") && !known.Contains(full)
               let elsewhere = known.FirstOrDefault(other => other.EndsWith($"/{item.Name.Split('/')[^1]}", StringComparison.Ordinal))
               select new Problem("ISM1031", $"VirtualService {ns}/{route["metadata"]?["name"]}", $"spec.gateways[{item.Index}]",
                   unfit.Contains(full)
                       ? $"Gateway {full} is one of the Gateway API, to which VirtualServices cannot be bound, so what it routes is not exposed"
                       : $"Gateway {full} does not exist, so what it routes is not exposed",
                   elsewhere is not null ? $"write {elsewhere}, or put both in one namespace"
                       : unfit.Contains(full) ? $"write an HTTPRoute with parentRefs to {full}, or create a Gateway of Istio"
                       : "create the Gateway, or name another one");
    }

    private static HashSet<string> NamesOf(IEnumerable<JsonObject> gateways) =>
        gateways.Select(gateway => $"{gateway["metadata"]?["namespace"]}/{gateway["metadata"]?["name"]}").ToHashSet(StringComparer.Ordinal);
}
