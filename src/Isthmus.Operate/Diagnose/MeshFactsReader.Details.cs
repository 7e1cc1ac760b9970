using Isthmus.Mesh.Config;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads what a cluster records about others, and its dangling references.</summary>
public sealed partial class MeshFactsReader
{
    /// <summary>Remote secrets; also empty for users who may not read Secrets. Then only the control planes' reports about
    /// them are known.</summary>
    private async Task<ValueList<RemoteSecretFacts>> SecretsAsync(ClusterLists lists, CancellationToken stop)
    {
        try
        {
            var secrets = await lists.SelectAsync<Secret>(MeshApi.Secret, istioNamespace, Labels.MultiCluster, "true", stop);
            return secrets.OrderBy(secret => secret.Metadata.Name, StringComparer.Ordinal).SelectMany(secret => SecretFacts.Of(secret).Remote).ToValueList();
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            return [];
        }
    }

    private static async Task<ValueList<string>> RangesAsync(ClusterLists lists, CancellationToken stop)
    {
        var nodes = await lists.ListAsync<Node>(MeshApi.Node, stop);
        return nodes.Select(node => node.Spec.PodCIDR).Where(range => range.Length > 0).Distinct().Order(StringComparer.Ordinal).ToValueList();
    }

    /// <summary>The start configuration of the proxies in the system namespace (the gateways).</summary>
    private static IEnumerable<string> OfProxies(IEnumerable<Pod> pods, string variable) =>
        pods.SelectMany(pod => pod.Spec.Containers.Concat(pod.Spec.InitContainers).Where(container => container.Name == "istio-proxy"))
            .SelectMany(container => container.Env)
            .Where(env => env.Name == variable).Select(env => env.Value ?? "").Where(value => value.Length > 0).Distinct().Order(StringComparer.Ordinal);

    /// <summary>Injection webhooks that no API server can call: their Service is missing or has no endpoints.</summary>
    private static async Task<IEnumerable<Problem>> DeadWebhooksAsync(KubeClient client, IReadOnlyList<InjectorWebhook> injectors, CancellationToken stop)
    {
        var problems = new List<Problem>();
        foreach (var configuration in injectors.Where(injector => injector.Service.Length > 0)
            .GroupBy(injector => injector.Configuration, StringComparer.Ordinal))
        {
            var name = $"MutatingWebhookConfiguration {configuration.Key}";
            foreach (var (ns, service) in configuration.Select(injector => (injector.Namespace, injector.Service)).Distinct())
            {
                var found = await client.FindAsync<Service>(Kinds.Service, ns, service, stop);
                if (found is { Spec.ExternalName.Length: > 0 }) continue;
                if (found is null)
                {
                    problems.Add(new("ISM1008", name, "webhooks[*].clientConfig.service", $"Service {ns}/{service} does not exist, so no Pod can be injected",
                        "install the control plane again, or delete the configuration if it is gone for good"));
                    continue;
                }
                var slices = await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, ns,
                    new ListOptions { LabelSelector = $"{Labels.ServiceName}={service}" }, stop);
                // A Service without a selector may have Endpoints that someone wrote, as in the older form of
                // primary-remote.
                if (!slices.SelectMany(slice => slice.Endpoints).Any(endpoint => endpoint.Conditions.Ready ?? true)
                    && (await client.FindAsync<Endpoints>(Kinds.Endpoints, ns, service, stop))?.Subsets.Any(subset => subset.Addresses.Count > 0) != true)
                    problems.Add(new("ISM1008", name, "webhooks[*].clientConfig.service",
                        $"Service {ns}/{service} has no ready endpoint, so no Pod can be injected",
                        $"kubectl --context={client.Access.Name} -n {ns} describe service {service}"));
            }
        }
        return problems;
    }

    /// <summary>VirtualServices bound to Gateways that do not exist: a bare name means a Gateway of their own namespace.</summary>
    private static async Task<IEnumerable<Problem>> LooseRoutesAsync(ClusterLists lists, IReadOnlyList<JsonObject> gateways, CancellationToken stop)
    {
        IReadOnlyList<JsonObject> routes;
        try { routes = await lists.ListAsync(MeshApi.VirtualService, stop); }
        catch (KubeException e) when (e.IsNotFound) { return []; }
        var known = gateways.Select(gateway => $"{gateway["metadata"]?["namespace"]}/{gateway["metadata"]?["name"]}").ToHashSet(StringComparer.Ordinal);
        return from route in routes
               let ns = route["metadata"]?["namespace"]?.ToString() ?? ""
               from item in (route["spec"]?["gateways"] as JsonArray ?? []).Select((gateway, index) => (Name: gateway?.ToString() ?? "", Index: index))
               let full = item.Name.Contains('/', StringComparison.Ordinal) ? item.Name : $"{ns}/{item.Name}"
               where item.Name is not ("mesh" or "") && !known.Contains(full)
               let elsewhere = known.FirstOrDefault(other => other.EndsWith($"/{item.Name.Split('/')[^1]}", StringComparison.Ordinal))
               select new Problem("ISM1031", $"VirtualService {ns}/{route["metadata"]?["name"]}", $"spec.gateways[{item.Index}]",
                   $"Gateway {full} does not exist, so what it routes is not exposed",
                   elsewhere is null ? "create the Gateway, or name another one" : $"write {elsewhere}, or put both in one namespace");
    }
}
