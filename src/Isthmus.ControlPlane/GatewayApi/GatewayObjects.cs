using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>
/// The objects that run a Gateway: its account, Deployment and Service, and where asked for an autoscaler and a disruption budget. The proxy is that of
/// injected gateways. Pure.
/// </summary>
internal static class GatewayObjects
{
    /// <summary>On objects made for a Gateway, with the name of the controller.</summary>
    internal const string Managed = "gateway.istio.io/managed";

    private const string ServiceType = "networking.istio.io/service-type", OwnDomain = "gateway.networking.k8s.io/";

    /// <summary>Annotations of a Gateway that say how it is deployed, or what was applied: no part of what is made for it.</summary>
    private static readonly HashSet<string> Ignored = new(StringComparer.Ordinal)
    {
        "kubectl.kubernetes.io/last-applied-configuration", GatewayNaming.NameOverride, GatewayNaming.AccountOverride, "gateway.istio.io/controller-version",
        ServiceType,
    };

    /// <param name="order">The Gateway.</param>
    /// <param name="uid">Of the Gateway: it owns all of them.</param>
    /// <param name="values">Those of the installation, with the settings for the Gateway's proxies.</param>
    /// <exception cref="ProblemException">A ConfigMap or an annotation asks for what is not possible.</exception>
    internal static IReadOnlyList<JsonObject> Of(GatewayOrder order, string uid, InjectorValues values)
    {
        var make = new Maker(order, uid);
        var objects = new List<JsonObject> { make.Object("v1", "ServiceAccount", order.AccountName), Deployment(order, make, values), Service(order, make) };
        if (GatewayOverlay.Asks(order.Parameters, "HorizontalPodAutoscaler")) objects.Add(Autoscaler(order, make));
        if (GatewayOverlay.Asks(order.Parameters, "PodDisruptionBudget")) objects.Add(Budget(order, make));
        return [.. objects.Select(item => GatewayOverlay.Over(item, order.Parameters))];
    }

    /// <summary>The labels of its Pods.</summary>
    /// <exception cref="ProblemException">A ConfigMap asks for what is not possible.</exception>
    internal static JsonObject PodLabels(GatewayOrder order)
    {
        var make = new Maker(order, "");
        return PodMetadata(order, make, DeploymentOf(order, make)).Labels;
    }

    private static JsonObject DeploymentOf(GatewayOrder order, Maker make) => make.Object("apps/v1", "Deployment", order.ServiceName);

    private static JsonObject Deployment(GatewayOrder order, Maker make, InjectorValues values)
    {
        var deployment = DeploymentOf(order, make);
        var (labels, annotations) = PodMetadata(order, make, deployment);
        var pod = new JsonObject
        {
            ["metadata"] = new JsonObject { ["labels"] = labels, ["annotations"] = annotations },
            ["spec"] = new JsonObject
            {
                ["serviceAccountName"] = order.AccountName,
                ["securityContext"] = new JsonObject
                {
                    // Listeners have the ports that the Gateway says, however low.
                    ["sysctls"] = new JsonArray(new JsonObject { ["name"] = "net.ipv4.ip_unprivileged_port_start", ["value"] = "0" }),
                    ["runAsUser"] = ProxyUser.Id, ["runAsGroup"] = ProxyUser.Id, ["fsGroup"] = ProxyUser.Id, ["runAsNonRoot"] = true,
                    ["seccompProfile"] = values.SeccompProfile?.DeepClone() ?? new JsonObject { ["type"] = "RuntimeDefault" },
                },
                ["containers"] = new JsonArray(Container(order, NetworkView(order, labels, values))),
            },
        };
        var owner = new WorkloadOwner("Deployment", "apps/v1", order.ServiceName);
        var injected = PodInjector.Inject(pod, order.Gateway.Namespace, values, InjectionPath.Default, NativeSidecars.Off, workload: owner)
            ?? throw new ProblemException(new Problem("", $"Gateway {order.Key.Namespace}/{order.Key.Name}", "metadata.namespace",
                "no proxies run in this namespace", "create the Gateway in another one"));
        var metadata = (JsonObject)injected["metadata"]!;
        // It is complete: the webhook has nothing to add.
        labels = (JsonObject)metadata["labels"]!;
        labels[Core.Names.Labels.Inject] = "false";
        ((JsonObject)metadata["annotations"]!).Remove("proxy.istio.io/overrides");
        var container = (injected["spec"]!["containers"] as JsonArray)!.OfType<JsonObject>().First(item => (string?)item["name"] == ProxyContainer.Name);
        container["resources"] = ProxyContainer.Resources(new(pod, order.Gateway.Namespace, values, InjectionPath.Default, NativeSidecars.Off, owner));
        deployment["spec"] = new JsonObject
        {
            ["selector"] = new JsonObject { ["matchLabels"] = make.Selector() },
            // Replacing a gateway must never leave it without a Pod.
            ["strategy"] = new JsonObject { ["rollingUpdate"] = new JsonObject { ["maxSurge"] = "100%", ["maxUnavailable"] = 0 } },
            ["template"] = new JsonObject { ["metadata"] = metadata.DeepClone(), ["spec"] = injected["spec"]!.DeepClone() },
        };
        return deployment;
    }

    /// <summary>The labels and annotations of the Pods. The injector reads some of them, so what ConfigMaps say of them counts before it.</summary>
    private static (JsonObject Labels, JsonObject Annotations) PodMetadata(GatewayOrder order, Maker make, JsonObject deployment)
    {
        var labels = make.Labels();
        labels.TryAdd("service.istio.io/canonical-name", GatewayNaming.LabelOf(order.ServiceName));
        labels.TryAdd("service.istio.io/canonical-revision", "latest");
        labels[Core.Names.Labels.Inject] = "true";
        var annotations = make.Annotations();
        annotations[Annotations.InjectTemplates] = InjectionTemplates.Gateway;
        var bare = (JsonObject)deployment.DeepClone();
        bare["spec"] = new JsonObject
        {
            ["template"] = new JsonObject { ["metadata"] = new JsonObject { ["labels"] = labels, ["annotations"] = annotations } },
        };
        var given = GatewayOverlay.Over(bare, order.Parameters)["spec"]?["template"]?["metadata"];
        return (Part("labels"), Part("annotations"));

        JsonObject Part(string name) => (JsonObject?)(given?[name] as JsonObject)?.DeepClone() ?? [];
    }

    /// <summary>
    /// The only network whose endpoints a gateway of a network gets; empty: it gets all. Calls that come from another network would go back there
    /// otherwise, from gateway to gateway.
    /// </summary>
    private static string NetworkView(GatewayOrder order, JsonObject labels, InjectorValues values) =>
        (string?)labels[Core.Names.Labels.Network] ?? (order.IsEastWest ? values.Network : "");

    private static JsonObject Container(GatewayOrder order, string networkView) => new()
    {
        ["name"] = ProxyContainer.Name,
        ["image"] = "auto",
        ["env"] = networkView.Length == 0
            ? new JsonArray()
            : new JsonArray(new JsonObject { ["name"] = "ISTIO_META_REQUESTED_NETWORK_VIEW", ["value"] = networkView }),
        ["ports"] = new JsonArray([.. order.Ports.Select(port => (JsonNode)new JsonObject { ["containerPort"] = port.Number, ["protocol"] = port.Protocol })]),
        ["securityContext"] = new JsonObject
        {
            ["allowPrivilegeEscalation"] = false, ["privileged"] = false, ["readOnlyRootFilesystem"] = true,
            ["capabilities"] = new JsonObject { ["drop"] = new JsonArray("ALL") },
        },
    };

    private static JsonObject Service(GatewayOrder order, Maker make)
    {
        var addresses = order.Gateway.Addresses;
        var inside = addresses.Where(address => address.Routability == Routabilities.Cluster).ToList();
        var type = order.Gateway.Annotations.GetValueOrDefault(ServiceType) switch
        {
            // Nobody outside the cluster is to reach a Gateway that asks for addresses of the cluster only.
            null or "" => inside.Count > 0 && inside.Count == addresses.Count ? "ClusterIP" : "LoadBalancer",
            var own and ("LoadBalancer" or "NodePort" or "ClusterIP") => own,
            var other => throw new ProblemException(new Problem("", $"Gateway {order.Key.Namespace}/{order.Key.Name}", $"metadata.annotations[{ServiceType}]",
                $"a gateway's Service cannot have the type '{other}'",
                "use LoadBalancer, NodePort or ClusterIP")),
        };
        var service = make.Object("v1", "Service", order.ServiceName);
        var spec = new JsonObject
        {
            ["ipFamilyPolicy"] = "PreferDualStack",
            ["ports"] = new JsonArray([.. order.Ports.Select(port => (JsonNode)new JsonObject
            {
                ["name"] = port.Name, ["port"] = port.Number, ["protocol"] = port.Protocol, ["appProtocol"] = port.Application,
            })]),
            ["selector"] = make.Selector(),
            ["type"] = type,
        };
        // A Service has one address of the cluster for each family.
        var fixedIps = inside.Select(address => address.Value).Where(value => IPAddress.TryParse(value, out _))
            .DistinctBy(value => value.Contains(':', StringComparison.Ordinal)).ToList();
        if (fixedIps.Count > 0) (spec["clusterIP"], spec["clusterIPs"]) = (fixedIps[0], new JsonArray([.. fixedIps.Select(value => (JsonNode)value)]));
        var wanted = addresses.Except(inside).Select(address => address.Value).Where(value => value.Length > 0).ToList();
        if (type == "LoadBalancer" && wanted.Count == 1) spec["loadBalancerIP"] = wanted[0];
        service["spec"] = spec;
        if (type == "LoadBalancer" && wanted.Count > 1) AskFor(wanted, (JsonObject)service["metadata"]!);
        return service;
    }

    /// <summary>A Service has a field for one address only. Each load balancer has an annotation of its own for several, and MetalLB refuses that beside the
    /// field.</summary>
    private static void AskFor(List<string> addresses, JsonObject metadata)
    {
        if (metadata["annotations"] is not JsonObject annotations) metadata["annotations"] = annotations = [];
        foreach (var name in (ReadOnlySpan<string>)["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs", "lbipam.cilium.io/ips",
            "kube-vip.io/loadbalancerIPs"])
            annotations.TryAdd(name, string.Join(',', addresses));
    }

    private static JsonObject Autoscaler(GatewayOrder order, Maker make)
    {
        var autoscaler = make.Object("autoscaling/v2", "HorizontalPodAutoscaler", order.ServiceName);
        autoscaler["spec"] = new JsonObject
        {
            ["scaleTargetRef"] = new JsonObject { ["apiVersion"] = "apps/v1", ["kind"] = "Deployment", ["name"] = order.ServiceName }, ["maxReplicas"] = 1,
        };
        return autoscaler;
    }

    private static JsonObject Budget(GatewayOrder order, Maker make)
    {
        var budget = make.Object("policy/v1", "PodDisruptionBudget", order.ServiceName);
        budget["spec"] = new JsonObject { ["selector"] = new JsonObject { ["matchLabels"] = make.Selector() } };
        return budget;
    }

    /// <summary>What all objects of a Gateway have.</summary>
    private sealed class Maker(GatewayOrder order, string uid)
    {
        private readonly ApiGateway _gateway = order.Gateway;

        internal JsonObject Object(string apiVersion, string kind, string name)
        {
            var labels = Labels();
            labels[Managed] = order.ManagedValue;
            var metadata = new JsonObject
            {
                ["name"] = name, ["namespace"] = _gateway.Namespace, ["labels"] = labels,
                ["ownerReferences"] = new JsonArray(new JsonObject
                {
                    ["apiVersion"] = "gateway.networking.k8s.io/v1", ["kind"] = "Gateway", ["name"] = _gateway.Name, ["uid"] = uid
                }),
            };
            if (Annotations() is { Count: > 0 } annotations) metadata["annotations"] = annotations;
            return new() { ["apiVersion"] = apiVersion, ["kind"] = kind, ["metadata"] = metadata };
        }

        /// <summary>Those that the Gateway asks for; without any, its own.</summary>
        internal JsonObject Labels()
        {
            var labels = Copy(_gateway.Infrastructure.Labels is { Count: > 0 } asked ? asked : _gateway.Labels);
            labels[GatewayNaming.GatewayLabel] = GatewayNaming.LabelOf(_gateway.Name);
            labels[GatewayNaming.ClassLabel] = GatewayNaming.LabelOf(_gateway.Class);
            labels[Managed] = order.ManagedValue;
            return labels;
        }

        internal JsonObject Annotations() => Copy(_gateway.Infrastructure.Annotations is { Count: > 0 } asked ? asked : _gateway.Annotations);

        internal JsonObject Selector() => new() { [GatewayNaming.GatewayLabel] = GatewayNaming.LabelOf(_gateway.Name) };

        private static JsonObject Copy(IEnumerable<KeyValuePair<string, string>> entries) =>
            new(entries.Where(entry => !entry.Key.StartsWith(OwnDomain, StringComparison.Ordinal) && !Ignored.Contains(entry.Key))
                .Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value)));
    }
}
