using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads Gateways and ListenerSets.</summary>
public static class ApiGatewayReader
{
    public static ApiGateway Read(string cluster, JsonObject gateway)
    {
        var item = ApiItem.Of(MeshApi.ApiGateway, cluster, gateway);
        var (spec, ns) = (item.Spec, item.Namespace);
        var (infrastructure, tls) = (spec["infrastructure"], spec["tls"]);
        var certificate = tls["backend"]["clientCertificateRef"];
        return new(item.Source, spec["gatewayClassName"].Text, Listeners(spec, ns), item.Generation, item.CreatedAt)
        {
            Labels = item.Labels,
            Annotations = item.Annotations,
            Addresses = spec["addresses"].Items.Select(Address).ToValueList(),
            Infrastructure = new(infrastructure["labels"].TextMap, infrastructure["annotations"].TextMap,
                References.Optional(infrastructure["parametersRef"], ns)),
            AllowedListeners = Namespaces(spec["allowedListeners"]["namespaces"], AllowedNamespaces.None),
            BackendCertificate = certificate.Exists ? References.Secret(certificate, ns) : null,
            Frontend = Validation(tls["frontend"]["default"]["validation"], ns),
            FrontendPorts = tls["frontend"]["perPort"].Items
                .Select(port => new PortValidation(port["port"].Int ?? 0, Validation(port["tls"]["validation"], ns))).ToValueList(),
        };
    }

    /// <summary>The listeners to which routes are attached, by the status that its control plane has written.</summary>
    public static IReadOnlySet<string> Routed(JsonObject gateway) =>
        (gateway["status"]?["listeners"] as JsonArray ?? []).Where(listener => (int?)listener?["attachedRoutes"] > 0)
            .Select(listener => listener!["name"]?.ToString() ?? "").ToHashSet(StringComparer.Ordinal);

    /// <summary>Whether ListenerSets add listeners, by the status that its control plane has written.</summary>
    public static bool HasSets(JsonObject gateway) => (int?)gateway["status"]?["attachedListenerSets"] > 0;

    public static ListenerSet ReadSet(string cluster, JsonObject set)
    {
        var item = ApiItem.Of(MeshApi.ListenerSet, cluster, set);
        return new(item.Source, References.Parent(item.Spec["parentRef"], item.Namespace),
            Listeners(item.Spec, item.Namespace), item.Generation, item.CreatedAt);
    }

    private static ApiAddress Address(Field address) =>
        new(address["type"].Text is { Length: > 0 } type ? type : "IPAddress", address["value"].Text) { Routability = address["routability"].Text };

    private static ValueList<ApiListener> Listeners(Field spec, string ns) => spec["listeners"].Items.Select(listener => Listener(listener, ns)).ToValueList();

    private static ApiListener Listener(Field listener, string ns)
    {
        var (tls, routes) = (listener["tls"], listener["allowedRoutes"]);
        return new(listener["name"].Text, listener["hostname"].Text, listener["port"].Int ?? 0, listener["protocol"].Text,
            tls.Exists ? Tls(tls, ns) : null, new(
            Namespaces(routes["namespaces"], AllowedNamespaces.Same),
            routes["kinds"].Items
                .Select(kind => new RouteKind(kind["group"].Exists ? kind["group"].Text : References.Group, kind["kind"].Text)).ToValueList()));
    }

    private static ApiListenerTls Tls(Field tls, string ns) => new(
        tls["mode"].Text == "Passthrough", tls["certificateRefs"].Items.Select(reference => References.Secret(reference, ns)).ToValueList(),
        tls["options"].TextMap);

    /// <summary>Nobody is allowed by a word that is not known.</summary>
    private static AllowedNamespaces Namespaces(Field namespaces, AllowedNamespaces byDefault) =>
        namespaces["from"] is not { Exists: true } from ? byDefault : from.Text switch
    {
        "Same" => AllowedNamespaces.Same,
        "All" => new(NamespacesFrom.All, ApiSelector.Everything),
        "Selector" => namespaces["selector"] is { Exists: true } selector ? new(NamespacesFrom.Selector, Selector(selector)) : AllowedNamespaces.None,
        _ => AllowedNamespaces.None,
    };

    private static ApiSelector Selector(Field selector) => new(
        selector["matchLabels"].TextMap,
        selector["matchExpressions"].Items.Select(rule => new SelectorRule(rule["key"].Text, rule["operator"].Text, rule["values"].Texts)).ToValueList());

    private static FrontendValidation? Validation(Field validation, string ns) => !validation.Exists ? null : new(
        validation["caCertificateRefs"].Items.Select(reference => References.Read(reference, "", "", ns)).ToValueList(),
        validation["mode"].Text == "AllowInsecureFallback");
}
