using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.Injecting;

/// <summary>Reads what the injection webhook of a cluster works with: its ConfigMaps, its path, the Nodes, and ProxyConfigs.</summary>
public sealed class InjectionSource(KubeClient client, string istioNamespace, string revision)
{
    private const string Selector = "app=sidecar-injector";

    private string Suffix => revision is "" or "default" ? "" : $"-{revision}";

    /// <param name="mesh">MeshConfig as YAML; null: that of the cluster.</param>
    /// <param name="values">The injector's values as JSON; null: those of the cluster.</param>
    public async Task<ManifestInjection> ReadAsync(string? mesh, string? values, CancellationToken stop)
    {
        mesh ??= await MapAsync($"istio{Suffix}", "mesh", stop);
        values ??= await MapAsync($"istio-sidecar-injector{Suffix}", "values", stop);
        var read = InjectorValues.Empty.WithMesh(YamlText.Parse(mesh, "mesh") as JsonObject ?? []).WithValues(Values(values));
        var nodes = await client.ListAllAsync<Node>(Kinds.Node, null, new ListOptions(), stop);
        return new(read, await PathAsync(stop),
            new(await ModeAsync(stop), nodes.Select(node => KeyValuePair.Create(node.Metadata.Name, node.Status.NodeInfo.KubeletVersion)).ToValueMap()),
            await ConfigsAsync(stop));
    }

    private static JsonObject Values(string text)
    {
        try
        {
            return StrictJson.Parse(text) as JsonObject
                ?? throw new ProblemException("values", "are not a JSON object",
                    "give what 'kubectl -n istio-system get configmap istio-sidecar-injector -o jsonpath={.data.values}' prints");
        }
        catch (JsonException e)
        {
            throw new ProblemException("values", $"are not JSON: {e.Message}",
                "give what 'kubectl -n istio-system get configmap istio-sidecar-injector -o jsonpath={.data.values}' prints", e);
        }
    }

    private async Task<string> MapAsync(string name, string key, CancellationToken stop) =>
        (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, istioNamespace, name, stop))?.Data.GetValueOrDefault(key)
        ?? throw new ProblemException($"ConfigMap {istioNamespace}/{name} in {client.Access.Name}", $"does not exist, or has no key {key}",
            "install a control plane there, or name its revision with --revision and its namespace with --istioNamespace");

    /// <summary>The webhook of a remote cluster has cluster and network in its path.</summary>
    private async Task<InjectionPath> PathAsync(CancellationToken stop)
    {
        var configurations = await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null,
            new ListOptions { LabelSelector = $"{Selector},istio.io/rev={(revision.Length == 0 ? "default" : revision)}" }, stop);
        var webhook = configurations.Select(configuration => configuration["webhooks"]?[0]?["clientConfig"]).FirstOrDefault(found => found is not null);
        var path = webhook?["service"]?["path"]?.ToString() ?? (webhook?["url"]?.ToString() is { } url ? new Uri(url).AbsolutePath : "/inject");
        return InjectionPath.Parse(path);
    }

    /// <summary>What the control plane's container is told; it decides where nothing else does.</summary>
    private async Task<NativeSidecarMode> ModeAsync(CancellationToken stop)
    {
        var deployment = await client.FindAsync<JsonObject>(Kinds.Deployment, istioNamespace, $"istiod{Suffix}", stop);
        var variables = (deployment?["spec"]?["template"]?["spec"]?["containers"]?[0]?["env"] as JsonArray ?? []).OfType<JsonObject>()
            .ToDictionary(variable => variable["name"]?.ToString() ?? "", variable => variable["value"]?.ToString(), StringComparer.Ordinal);
        return DiscoverySettings.Read([], name => name == "ENABLE_NATIVE_SIDECARS" ? variables.GetValueOrDefault(name) : null).NativeSidecars;
    }

    private async Task<IReadOnlyList<ProxyConfig>> ConfigsAsync(CancellationToken stop)
    {
        try
        {
            var kind = Manifests.ResourceOf(MeshApi.ProxyConfig);
            var objects = await client.ListAllAsync<JsonObject>(kind, null, new ListOptions(), stop);
            foreach (var value in objects) (value["apiVersion"], value["kind"]) = (kind.ApiVersion, kind.Kind); // Items of lists have neither.
            return [.. objects.Select(value => IstioConfig.Read(value, "").Value).OfType<ProxyConfig>()];
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return [];
        }
    }
}
