using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The Secrets and ConfigMaps that objects of the Gateway API name: the analysis reads these alone. Pure.</summary>
public static class GatewayApiReferences
{
    /// <summary>As NAMESPACE and NAME.</summary>
    public static IEnumerable<(string Namespace, string Name)> Secrets(ClusterInventory cluster) => Of(cluster, "Secret");

    public static IEnumerable<(string Namespace, string Name)> ConfigMaps(ClusterInventory cluster) => Of(cluster, "ConfigMap");

    /// <summary>Both.</summary>
    public static IEnumerable<(ResourceKind Kind, string Namespace, string Name)> All(ClusterInventory cluster) =>
        Secrets(cluster).Select(one =>
            (Kinds.Secret, one.Namespace, one.Name)).Concat(ConfigMaps(cluster).Select(one => (Kinds.ConfigMap, one.Namespace, one.Name)));

    /// <summary>The cluster with what Secrets of files hold.</summary>
    /// <param name="cluster">The cluster, or what stands for one.</param>
    /// <param name="files">The objects of the files. Secrets that they lack are those of the cluster.</param>
    /// <param name="isAll">Only files are read, without a cluster: if they contain Secrets, one that they lack does not exist.</param>
    internal static ClusterInventory WithSecrets(ClusterInventory cluster, IReadOnlyList<JsonObject> files, bool isAll)
    {
        var secrets = files.Where(value => value["kind"]?.ToString() == "Secret" && value["apiVersion"]?.ToString() == "v1").ToList();
        if (secrets.Count == 0) return cluster;
        var known = cluster.Secrets.ToDictionary(StringComparer.Ordinal);
        foreach (var (ns, name) in Secrets(cluster))
        {
            var own = secrets.LastOrDefault(value => value["metadata"]?["namespace"]?.ToString() == ns && value["metadata"]?["name"]?.ToString() == name);
            if (own is not null || isAll) known[$"{ns}/{name}"] = SecretReading.Of(own is null ? null : Read(own));
        }
        return cluster.WithSecrets(known.ToValueMap());
    }

    /// <summary>Files may have plain text, of which an API server makes data.</summary>
    internal static Secret Read(JsonObject value)
    {
        var secret = value.Deserialize(KubeJson.Of<Secret>())!;
        foreach (var (key, text) in value["stringData"] as JsonObject ?? [])
            secret.Data[key] = Convert.ToBase64String(Encoding.UTF8.GetBytes(text?.ToString() ?? ""));
        return secret;
    }

    private static IEnumerable<(string Namespace, string Name)> Of(ClusterInventory cluster, string kind) =>
        Written(cluster).Where(reference => reference.Group.Length == 0 && reference.Kind == kind && reference.Name.Length > 0)
            .Select(reference => (reference.Namespace, reference.Name)).Distinct();

    private static IEnumerable<ApiReference> Written(ClusterInventory cluster) => cluster.Objects(MeshApi.ApiGateway.Name).Select(value =>
        ApiGatewayReader.Read("", value)).SelectMany(OfGateway)
        .Concat(cluster.Objects(MeshApi.ListenerSet.Name).Select(value => ApiGatewayReader.ReadSet("", value)).SelectMany(set => OfListeners(set.Listeners)))
        .Concat(cluster.Objects(MeshApi.BackendTlsPolicy.Name).Select(value => BackendTlsPolicyReader.Read("", value)).SelectMany(policy =>
            policy.CaCertificates))
        .Concat(cluster.Objects(MeshApi.GatewayClass.Name).Select(value => GatewayClassReader.Read("", value).Parameters).OfType<ApiReference>());

    private static IEnumerable<ApiReference> OfGateway(ApiGateway gateway) => OfListeners(gateway.Listeners)
        .Concat(gateway.FrontendPorts.Select(port => port.Validation).Append(gateway.Frontend).OfType<FrontendValidation>().SelectMany(validation =>
            validation.CaCertificates))
        .Concat(((ApiReference?[])[gateway.BackendCertificate, gateway.Infrastructure.Parameters]).OfType<ApiReference>());

    private static IEnumerable<ApiReference> OfListeners(ValueList<ApiListener> listeners) => listeners.SelectMany(listener =>
        listener.Tls?.Certificates ?? default);
}
