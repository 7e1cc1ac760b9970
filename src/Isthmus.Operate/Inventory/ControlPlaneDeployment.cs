using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Inventory;

/// <summary>A Deployment of a control plane.</summary>
/// <param name="Cluster">The cluster whose configuration it reads and whose workloads it serves, by the name that it
/// uses.</param>
internal sealed record ControlPlaneDeployment(Deployment Deployment, string Cluster)
{
    public string Namespace => Deployment.Metadata.Namespace;

    /// <summary>Whether it has no Pods, or none that is ready, as its status says.</summary>
    public bool IsStopped => Deployment.Spec.Replicas == 0 || Deployment.Status is { ReadyReplicas: 0, UnavailableReplicas: > 0 };

    /// <summary>The field that shows that it is stopped.</summary>
    public string StoppedField => Deployment.Spec.Replicas == 0 ? "spec.replicas" : "status.readyReplicas";

    /// <summary>What starts it again, or shows why it does not start.</summary>
    public string Start(string context) => $"kubectl --context={context} -n {Namespace} "
        + (Deployment.Spec.Replicas == 0 ? $"scale deployment {Deployment.Metadata.Name} --replicas=1" : $"describe deployment,pod -l app={WellKnown.Istiod}");

    public static bool IsOne(Deployment deployment) => deployment.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod;

    public static ControlPlaneDeployment Read(Deployment deployment) => new(deployment,
        Environment(deployment).FirstOrDefault(env => env.Name == "CLUSTER_ID").Value ?? "");

    /// <summary>The environment variables that the Deployment sets for its containers.</summary>
    public static IEnumerable<(string Name, string Value)> Environment(Deployment deployment) =>
        (deployment.Spec.Template["spec"]?["containers"] as JsonArray ?? []).SelectMany(container => container?["env"] as JsonArray ?? [])
            .Select(env => (env?["name"]?.ToString() ?? "", env?["value"]?.ToString() ?? ""));

    private const string GatewayApi = "PILOT_ENABLE_GATEWAY_API";

    /// <summary>The variable that keeps control planes from a part of the Gateway API, and what they do not do because of it; null for none.</summary>
    /// <param name="deployments">Those that serve the same proxies: what one of them does is done.</param>
    public static (Deployment Deployment, string Variable, string Lack)? WithoutGatewayApi(IReadOnlyList<Deployment> deployments)
    {
        foreach (var (variable, lack) in ((string, string)[])[
            (GatewayApi, "reads no object of the Gateway API, so that no Gateway and no route of it has an effect"),
            ($"{GatewayApi}_DEPLOYMENT_CONTROLLER", "makes no Pods and Services for Gateways of the Gateway API"),
            ($"{GatewayApi}_STATUS", "writes no status of the Gateway API: conditions are of an earlier time, or of another program")])
            if (deployments.Count > 0 && deployments.All(one => Environment(one).Any(env => env.Name == variable && IsOff(env.Value))))
                return (deployments[0], variable, lack);
        return null;

        static bool IsOff(string value) => value is "0" or "f" or "F" or "false" or "False" or "FALSE";
    }

    /// <summary>What control planes of one mesh are told of the multi-cluster services API.</summary>
    public static MultiClusterSettings MultiCluster(IEnumerable<Deployment> deployments)
    {
        var told = deployments.SelectMany(Environment).ToLookup(env => env.Name, env => env.Value, StringComparer.Ordinal);
        return MultiClusterSettings.Read(name => told[name].FirstOrDefault());
    }
}
