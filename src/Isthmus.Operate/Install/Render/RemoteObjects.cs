using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Remote;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>The objects of a cluster whose control plane runs in another one: a Service that leads there, and the injection webhook (chart
/// <c>istiod-remote</c>).</summary>
internal static class RemoteObjects
{
    private const string Component = "IstiodRemote";

    internal static IEnumerable<JsonObject> Build(OperatorSpec spec)
    {
        var address = spec.Value("global", "remotePilotAddress")?.ToString() ?? "";
        var url = spec.Value("istiodRemote", "injectionURL")?.ToString() ?? "";
        if (address.Length == 0 && url.Length == 0)
            throw new ProblemException("spec.values.global.remotePilotAddress", "is required: without it, proxies do not find their control plane",
                "give the address of the gateway in front of the primary's istiod (or spec.values.istiodRemote.injectionURL)");
        var (path, port) = (Path(spec), Ports.Webhook);
        if (address.Length == 0)
        {
            // The control plane is at the injector's address. The Service gives it a name that its certificate contains.
            var given = Injector(url);
            (address, port, url) = (given.Host, given.Port, "");
            if (given.AbsolutePath.TrimEnd('/') is not ("" or "/inject")) path = given.AbsolutePath;
        }
        foreach (var item in Discovery(spec, address, port)) yield return item;
        foreach (var injector in WebhookObjects.Injectors(spec, Component, path, url)) yield return injector;
        // A cluster with the configuration has them among its webhooks of validation. Another URL does not say where the control plane is told.
        var isConfig = (bool?)spec.Value("global", "configCluster") ?? false;
        if (!isConfig && url.Length == 0 && ((bool?)spec.Value("global", "configValidation") ?? true))
            yield return WebhookObjects.RemoteHistory(spec, Component, $"{WebhookObjects.HistoryPath}/cluster/{Escape(spec.ClusterName)}");
    }

    private static Uri Injector(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme == "https" && uri.Host.Length > 0 ? uri
        : throw new ProblemException("spec.values.istiodRemote.injectionURL", $"'{url}' is not an https address",
            "write it like https://ADDRESS:15017/inject/cluster/NAME/net/NETWORK");

    /// <summary>The default follows from the cluster's name and network: without it, Pods would claim to be in the primary.</summary>
    private static string Path(OperatorSpec spec)
    {
        if (spec.Value("istiodRemote", "injectionPath")?.ToString() is { Length: > 0 } given) return given;
        var path = $"/inject/cluster/{Escape(spec.ClusterName)}";
        return spec.Network.Length == 0 ? path : $"{path}/net/{Escape(spec.Network)}";
    }

    private static string Escape(string value) => value.Replace("/", "--slash--", StringComparison.Ordinal);

    private static IEnumerable<JsonObject> Discovery(OperatorSpec spec, string address, int webhook)
    {
        var name = new IstiodObjects.Names(spec).Istiod;
        var service = Object("v1", "Service", name, spec.Namespace, Make(spec, Component, "istiod", ("app", "istiod")));
        var ports = new JsonArray(
            IstiodObjects.Port("tcp-istiod", Ports.DiscoveryTls, Ports.DiscoveryTls),
            IstiodObjects.Port("tcp-webhook", 443, webhook));
        service["spec"] = new JsonObject { ["ports"] = ports };
        // With several primaries, proxies that lose one connect to another.
        var places = address.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(EndpointAddress.Parse).ToValueList();
        if (places.Any(place => place.Ip is null))
        {
            if (places.Count > 1)
                throw new ProblemException("spec.values.global.remotePilotAddress", $"'{address}' is a list that contains a host name",
                    "use several IP addresses, or one host name with several addresses");
            service["metadata"]!["annotations"] = new JsonObject { [Annotations.ControlPlaneHost] = address };
            yield return service;
            yield break;
        }
        yield return service;
        foreach (var slice in ControlPlaneSlices.Slices(service, places.Select(place => place.Ip).OfType<Address>().ToValueList())) yield return slice;
    }
}
