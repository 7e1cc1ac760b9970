using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>Objects of one component, applied together; the next component waits for them.</summary>
public sealed record Component(string Name, IReadOnlyList<JsonObject> Objects);

/// <summary>From a merged spec to the objects of each component, in the order of installation. Pure.</summary>
public static class Manifests
{
    /// <summary>The component after which injection works.</summary>
    public const string ControlPlane = "Istiod";

    private const string Ingress = "Ingress gateways", Egress = "Egress gateways";

    internal static bool IsGateways(Component component) => component.Name is Ingress or Egress;

    public static IReadOnlyList<Component> Render(OperatorSpec spec)
    {
        var components = new List<Component>();
        void Add(string name, IEnumerable<JsonObject> objects, string patched = "")
        {
            if (objects.Where(value => IsInScope(spec, KindOf(value))).ToList() is not { Count: > 0 } list) return;
            if (patched.Length > 0) ObjectPatches.Apply(list, spec.Component(patched)["k8s"]?["overlays"], $"spec.components.{patched}.k8s.overlays");
            components.Add(new(name, list));
        }
        var (isBased, isRemote) = (spec.Enabled("base"), spec.Enabled("istiodRemote"));
        var external = isRemote || ((bool?)spec.Value("global", "externalIstiod") ?? false);
        if (isBased || isRemote)
            Add("Istio core", (isBased || spec.IsConfigCluster ? IstioCrds.All.Select(Labelled) : [])
                .Concat(Reader(spec, external, isRemote ? "IstiodRemote" : "Base")));
        if ((isBased || isRemote) && BringsGatewayApi(spec)) Add(GatewayApiBundle.Component, GatewayApiBundle.Build());
        // Before the control plane: Pods that it injects need the agent.
        if (spec.Enabled("cni")) Add("CNI", CniObjects.Build(spec), "cni");
        if (spec.Enabled("pilot"))
            Add(ControlPlane, IstiodObjects.Build(spec).Concat(Webhooks(spec)), "pilot");
        if (isRemote)
            Add("Istiod remote", RemoteObjects.Build(spec).Concat(spec.IsConfigCluster ? IstiodObjects.Rights(spec).Concat(Validator(spec)) : []));
        foreach (var (list, egress) in (ReadOnlySpan<(string, bool)>)[("ingressGateways", false), ("egressGateways", true)])
        {
            var gateways = spec.Gateways(list).Where(gateway => (bool?)gateway["enabled"] ?? false).SelectMany(gateway => Gateway(spec, gateway, egress));
            if (!egress && gateways.Any() && spec.JoinsByNames) gateways = gateways.Concat(ReplicatedObjects.GatewayObjects(spec));
            Add(egress ? Egress : Ingress, gateways);
        }
        if (ConsoleObjects.Enabled(spec)) Add("Console", ConsoleObjects.Build(spec));
        if (ReplicatedObjects.DnsEnabled(spec)) Add("Addons", ReplicatedObjects.DnsObjects(spec));
        return components;
    }

    /// <summary>Whether an installation has objects of a kind: one person may install what belongs to the cluster, and another one what belongs to the
    /// namespace (<c>values.global.resourceScope</c>).</summary>
    internal static bool IsInScope(OperatorSpec spec, ResourceKind? kind) => spec.Value("global", "resourceScope")?.ToString() switch
    {
        "cluster" => kind?.Namespaced is false,
        "namespace" => kind?.Namespaced is not false,
        _ => true,
    };

    /// <summary>The kind of an object, as far as Isthmus knows it: built-in, or one of Istio's.</summary>
    public static ResourceKind? KindOf(JsonObject value)
    {
        var (apiVersion, kind) = (value["apiVersion"]?.ToString() ?? "", value["kind"]?.ToString() ?? "");
        return Kinds.Find(apiVersion, kind)
            ?? (MeshApi.FindIstio(apiVersion, kind) is { } istio
                ? ResourceOf(istio, apiVersion[(apiVersion.IndexOf('/', StringComparison.Ordinal) + 1)..])
                : null);
    }

    /// <summary>A kind as a resource.</summary>
    /// <param name="version">The first that is wanted if omitted.</param>
    public static ResourceKind ResourceOf(KindDescriptor kind, string? version = null) => kind.In(version ?? kind.ReadVersion);

    /// <summary>Definitions belong to no revision: all revisions share one set.</summary>
    private static JsonObject Labelled(JsonObject crd)
    {
        var copy = (JsonObject)crd.DeepClone();
        var labels = copy["metadata"]!["labels"] as JsonObject ?? (JsonObject)(copy["metadata"]!["labels"] = new JsonObject())!;
        labels["app"] = "istio-pilot";
        labels[ObjectLabels.Release] = "istio";
        labels[ObjectLabels.Component] = "Base";
        return copy;
    }

    private static IEnumerable<JsonObject> Reader(OperatorSpec spec, bool external, string component) =>
        (bool?)spec.Value("global", "enableReaderRBAC") ?? true
            ? ReaderObjects.Build(spec.Namespace, spec.Revision, external, () => ObjectLabels.Make(spec, component, "istio-reader", ("app", "istio-reader")),
                spec)
            : [];

    /// <summary>None for a control plane that serves another cluster: the webhooks are in that cluster.</summary>
    private static IEnumerable<JsonObject> Webhooks(OperatorSpec spec) =>
        (bool?)spec.Value("global", "operatorManageWebhooks") ?? false
            ? []
            : [.. WebhookObjects.Injectors(spec, "Pilot", InjectionPath(spec), ""), .. Validator(spec)];

    private static bool BringsGatewayApi(OperatorSpec spec) => (bool?)spec.Value("base", "enableGatewayAPICRDs") ?? false;

    private static IEnumerable<JsonObject> Validator(OperatorSpec spec) =>
        (bool?)spec.Value("global", "configValidation") ?? true ? [WebhookObjects.Validator(spec)] : [];

    private static List<JsonObject> Gateway(OperatorSpec spec, JsonObject gateway, bool egress)
    {
        var objects = GatewayObjects.Build(spec, gateway, egress).ToList();
        ObjectPatches.Apply(objects, gateway["k8s"]?["overlays"],
            $"spec.components.{(egress ? "egressGateways" : "ingressGateways")}[{gateway["name"]}].k8s.overlays");
        return objects;
    }

    private static string InjectionPath(OperatorSpec spec) =>
        spec.Value("istiodRemote", "injectionPath")?.ToString() is { Length: > 0 } path ? path : "/inject";
}
