using System.Text.Json.Nodes;

namespace Isthmus.Rigs.Mesh;

/// <summary>Pods of the size that real ones have: with a sidecar, and with the fields that a control plane does not
/// use.</summary>
internal static class LoadedPod
{
    internal const string Account = "app";

    internal static string NameOf(int service, int number) => $"app{service}-7d4b9c6f5d-{number}";

    internal static JsonObject Of(string ns, int service, int number)
    {
        var name = NameOf(service, number);
        JsonObject labels = new()
        {
            ["app"] = $"app{service}", ["version"] = "v1", ["pod-template-hash"] = "7d4b9c6f5d", ["security.istio.io/tlsMode"] = "istio",
            ["service.istio.io/canonical-name"] = $"app{service}", ["service.istio.io/canonical-revision"] = "v1",
        };
        return new()
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["namespace"] = ns,
                ["labels"] = labels,
                ["annotations"] = new JsonObject
                {
                    ["kubectl.kubernetes.io/default-container"] = "app", ["prometheus.io/path"] = "/stats/prometheus", ["prometheus.io/port"] = "15020",
                    ["prometheus.io/scrape"] = "true",
                    ["sidecar.istio.io/status"] =
                        """{"initContainers":["istio-init"],"containers":["istio-proxy"]"""
                            + ""","volumes":["workload-socket","credential-socket","workload-certs","istio-envoy","istio-data","istio-podinfo","istio-token","istiod-ca-cert"]"""
                            + ""","imagePullSecrets":null,"revision":"default"}""",
                },
                ["ownerReferences"] = new JsonArray(new JsonObject
                {
                    ["apiVersion"] = "apps/v1", ["kind"] = "ReplicaSet", ["name"] = $"app{service}-7d4b9c6f5d",
                    ["uid"] = $"5c1f5ad0-0000-4000-8000-{service:x12}", ["controller"] = true, ["blockOwnerDeletion"] = true,
                }),
            },
            ["spec"] = new JsonObject
            {
                ["serviceAccountName"] = Account,
                ["initContainers"] = new JsonArray(Container("istio-init", "docker.io/istio/proxyv2:1.20.0", 0, environment: 0, arguments: 20)),
                ["containers"] = new JsonArray(
                    Container("app", "registry.example.com/shop/app:v1", 8080, environment: 10, arguments: 2),
                    Container("istio-proxy", "docker.io/istio/proxyv2:1.20.0", 15090, environment: 30, arguments: 10)),
                ["volumes"] = new JsonArray([.. Enumerable.Range(0, 8)
                    .Select(i => (JsonNode)new JsonObject { ["name"] = $"volume-{i}", ["emptyDir"] = new JsonObject { ["medium"] = "Memory" } })]),
                ["tolerations"] = new JsonArray(new JsonObject
                {
                    ["key"] = "node.kubernetes.io/not-ready", ["operator"] = "Exists", ["effect"] = "NoExecute", ["tolerationSeconds"] = 300
                }),
            },
        };
    }

    private static JsonObject Container(string name, string image, int port, int environment, int arguments) => new()
    {
        ["name"] = name,
        ["image"] = image,
        ["args"] = new JsonArray([.. Enumerable.Range(0, arguments).Select(i => (JsonNode)$"--argument-{i}=value-of-argument-{i}")]),
        ["env"] = new JsonArray([.. Enumerable.Range(0, environment)
            .Select(i => (JsonNode)new JsonObject { ["name"] = $"VARIABLE_{i}", ["value"] = $"the value of an environment variable, {i}" })]),
        ["ports"] = port == 0 ? [] : new JsonArray(new JsonObject { ["name"] = "http", ["containerPort"] = port, ["protocol"] = "TCP" }),
        ["resources"] = new JsonObject
        {
            ["requests"] = new JsonObject { ["cpu"] = "100m", ["memory"] = "128Mi" }, ["limits"] = new JsonObject { ["cpu"] = "2", ["memory"] = "1Gi" }
        },
        ["volumeMounts"] = new JsonArray([.. Enumerable.Range(0, 8)
            .Select(i => (JsonNode)new JsonObject { ["name"] = $"volume-{i}", ["mountPath"] = $"/var/run/secrets/volume-{i}" })]),
    };
}
