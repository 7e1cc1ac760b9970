using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>What parts of a mesh of Istio there are that Isthmus has not: ambient mode, waypoints, their Gateways and routes, and images of their own.
/// Pure.</summary>
internal static class MeshFindings
{
    private const string Mode = "istio.io/dataplane-mode", Waypoint = "istio.io/use-waypoint", Injected = "sidecar.istio.io/proxyImage",
        GatewayApi = "gateway.networking.k8s.io/", IstioClass = "istio.io/";

    /// <summary>The oldest and newest Istio whose agents and control planes run beside Isthmus.</summary>
    private static readonly (int Minor, string Text) Oldest = (24, "1.24"), Newest = (31, "1.31");

    /// <summary>Classes of Gateways that a control plane of Istio always serves, and Isthmus does not.</summary>
    private static readonly string[] Classes = ["istio-waypoint", "agentgateway", "agentgateway-waypoint"];

    internal static IEnumerable<MigrationFinding> OfAmbient(ClusterInventory cluster)
    {
        foreach (var (name, labels) in Labelled(cluster))
        {
            if (labels.GetValueOrDefault(Mode) == "ambient")
                yield return new(MigrationLevel.Lost, cluster.Context, name, $"metadata.labels[{Mode}]", "ambient",
                    "there is no ambient mode: traffic would pass no proxy",
                    "give the workloads sidecars first, while Istio runs them (istio-injection=enabled)");
            if (labels.GetValueOrDefault(Waypoint) is { Length: > 0 } waypoint && waypoint != "none")
                yield return new(MigrationLevel.Lost, cluster.Context, name, $"metadata.labels[{Waypoint}]", waypoint,
                    "there are no waypoints: their policies and routes would not apply", "write the policies with selectors, and give the workloads sidecars");
        }
        foreach (var template in cluster.Templates.Where(template => template.Kind == "DaemonSet" && template.Labels.GetValueOrDefault("app") == "ztunnel"))
            yield return new(MigrationLevel.Lost, cluster.Context, template.FullName, "", "", "is the proxy of ambient mode, which Isthmus does not have",
                "give the workloads sidecars, and remove it");
    }

    /// <summary>Objects of the Gateway API that a control plane of Istio acts on, and Isthmus does not: waypoints, Gateways of another proxy, and their
    /// routes.</summary>
    internal static IEnumerable<MigrationFinding> OfGatewayApi(string cluster, IReadOnlyList<JsonObject> objects)
    {
        var classes = Of("GatewayClass")
            .Where(value => value["spec"]?["controllerName"]?.ToString() is { } controller && controller.StartsWith(IstioClass, StringComparison.Ordinal)
                && !GatewayClasses.IsOurs(controller))
            .Select(value => value["metadata"]!["name"]!.ToString()).Concat(Classes).ToHashSet(StringComparer.Ordinal);
        var gateways = Of("Gateway").Where(value => classes.Contains(value["spec"]?["gatewayClassName"]?.ToString() ?? "")).ToList();
        foreach (var gateway in gateways)
            yield return Lost(gateway, "spec.gatewayClassName", gateway["spec"]!["gatewayClassName"]!.ToString(), "Isthmus has no Gateways of this class",
                "give the workloads sidecars, or the Gateway the class istio");
        var names = gateways.Select(value => $"{value["metadata"]!["namespace"]}/{value["metadata"]!["name"]}").ToHashSet(StringComparer.Ordinal);
        foreach (var route in objects.Where(value => value["kind"]!.ToString().EndsWith("Route", StringComparison.Ordinal)))
        {
            var parents = (route["spec"]?["parentRefs"] as JsonArray ?? []).OfType<JsonObject>().ToList();
            var at = parents.FindIndex(parent => (parent["kind"]?.ToString() ?? "Gateway") switch
            {
                "Gateway" => names.Contains($"{parent["namespace"] ?? route["metadata"]!["namespace"]}/{parent["name"]}"),
                _ => false,
            });
            if (at >= 0)
                yield return Lost(route, $"spec.parentRefs[{at}]", FieldFindings.Shown(parents[at]["name"]?.ToString() ?? ""),
                    "nothing serves the Gateway that the route names", "attach it to the Service that it is for, or to a Gateway of class istio");
        }

        IEnumerable<JsonObject> Of(string kind) =>
            objects.Where(value => value["kind"]?.ToString() == kind
                && value["apiVersion"]?.ToString().StartsWith(GatewayApi, StringComparison.Ordinal) == true);
        MigrationFinding Lost(JsonObject value, string field, string shown, string what, string remedy) =>
            new(MigrationLevel.Lost, cluster, ClusterInventory.NameOf(value), field, shown, what, remedy);
    }

    /// <summary>Control planes and proxies of versions that were never beside Isthmus, and proxies of images of their own.</summary>
    internal static IEnumerable<MigrationFinding> OfImages(ClusterInventory cluster)
    {
        foreach (var group in Images(cluster).Where(one => MinorOf(one.Image) is { } minor && (minor < Oldest.Minor || minor > Newest.Minor))
            .GroupBy(one => one.Image))
            yield return new(MigrationLevel.Note, cluster.Context, group.First().Name, "image", group.Key,
                $"is not of an Istio from {Oldest.Text} to {Newest.Text}{(group.Count() > 1 ? $", and so are {group.Count() - 1} more" : "")}",
                $"upgrade Istio to a version from {Oldest.Text} to {Newest.Text} before Isthmus joins");
        foreach (var template in cluster.Templates.Where(template => template.Annotations.ContainsKey(Injected)))
            yield return new(MigrationLevel.Differs, cluster.Context, template.FullName, $"metadata.annotations[{Injected}]",
                FieldFindings.Shown(template.Annotations[Injected]),
                "Pods keep this image under Isthmus, too", "remove the annotation when the workload moves, so that it gets the proxy of Isthmus");
    }

    private static IEnumerable<(string Name, string Image)> Images(ClusterInventory cluster) =>
        cluster.Pods.SelectMany(pod => pod.Spec.InitContainers.Concat(pod.Spec.Containers).Where(container => container.Name is "istio-proxy" or "discovery")
            .Select(container => ($"Pod {pod.Key}", container.Image)));

    /// <summary>The minor version of an image of Istio; null for another image, or a tag that is not a version.</summary>
    private static int? MinorOf(string image)
    {
        var (path, tag) = image.LastIndexOf(':') is var colon and > 0 && colon > image.LastIndexOf('/') ? (image[..colon], image[(colon + 1)..]) : (image, "");
        if (path[(path.LastIndexOf('/') + 1)..] is not ("proxyv2" or "pilot")) return null;
        return tag.Split('.', '-') is ["1", var minor, ..] && int.TryParse(minor, out var number) ? number : null;
    }

    private static IEnumerable<(string Name, IReadOnlyDictionary<string, string> Labels)> Labelled(ClusterInventory cluster) =>
        cluster.Namespaces.Select(ns => ($"Namespace {ns.Metadata.Name}", (IReadOnlyDictionary<string, string>)ns.Metadata.Labels))
            .Concat(cluster.Services.Select(service => ($"Service {service.Metadata.Namespace}/{service.Metadata.Name}",
                (IReadOnlyDictionary<string, string>)service.Metadata.Labels)))
            .Concat(cluster.Templates.Select(template => (template.FullName, template.Labels)));
}
