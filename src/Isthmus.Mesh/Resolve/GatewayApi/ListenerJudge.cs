using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>Judges listeners: whether they can be served, which routes they take, and whether what they refer to is there.</summary>
public static class ListenerJudge
{
    private const int MaxPort = 65535;

    public static JudgedListeners Of(OwnedListeners owned, ListenerReferences references) => new(
        owned.Owner, owned.Generation, owned.Gateway,
        owned.IsAllowed ? owned.Listeners.Index().Select(item => Of(owned, item.Index, references)).ToValueList() : default, owned.IsAllowed);

    private static JudgedListener Of(OwnedListeners owned, int index, ListenerReferences references)
    {
        var listener = owned.Listeners[index];
        var fitting = KindsOf(listener);
        var kinds = listener.Routes.Kinds.IsEmpty ? fitting : fitting.Where(kind => listener.Routes.Kinds.Contains(kind)).ToValueList();
        var hasOtherKinds = listener.Routes.Kinds.Any(kind => !fitting.Contains(kind));
        var server = InternalGateways.NameOf(owned.Gateway, owned.Owner, listener);
        if (owned.Conflicts[index] is { Length: > 0 } conflict)
        {
            var other = conflict == ListenerPlan.HostnameConflict
                ? "Another listener of the Gateway has the same port and hostname"
                : "Another listener of the Gateway has the port with a protocol that cannot share it";
            return new(listener, server, kinds,
            [
                new("Accepted", false, conflict, other), new("Programmed", false, conflict, other),
                new("Conflicted", true, conflict, other), Resolved(null, hasOtherKinds),
            ]) { IsConflicted = true };
        }
        var tls = ListenerTls.Of(owned, index, references);
        var refusal = RefusalOf(listener) ?? (tls.LacksCa ? new ApiFault("NoValidCACertificate", tls.Fault!.Message) : null);
        var isBlocked = tls.Tls is { IsBlocked: true } || (tls.Fault is not null && !HasCertificate(tls.Tls, references));
        return new(listener, server, kinds,
        [
            refusal is null ? new("Accepted", true, "Accepted", "The listener is valid") : new("Accepted", false, refusal.Reason, refusal.Message),
            refusal is not null ? new("Programmed", false, "Invalid", refusal.Message)
                : isBlocked ? new("Programmed", false, "Invalid", $"{Unserved(tls.Tls)}: {tls.Fault!.Message}")
                : new("Programmed", true, "Programmed", "The listener is served"),
            new("Conflicted", false, "NoConflicts", "No other listener has its place"),
            Resolved(tls.Fault, hasOtherKinds),
        ])
        {
            Served = refusal is null || tls.LacksCa ? ServerOf(listener, tls.Tls) : null,
        };
    }

    private static ApiCondition Resolved(ApiFault? fault, bool hasOtherKinds) =>
        fault is not null ? new("ResolvedRefs", false, fault.Reason, fault.Message)
        : hasOtherKinds ? new("ResolvedRefs", false, "InvalidRouteKinds", "allowedRoutes.kinds names kinds that the listener's protocol does not take")
        : new("ResolvedRefs", true, "ResolvedRefs", "All references lead to what they name");

    /// <summary>Gateways keep the last good certificate while a Secret is missing or broken.</summary>
    private static string Unserved(ServerTls? tls) =>
        tls is { IsBlocked: true } ? "Connections are refused" : "Connections get the last good certificate, or are refused where there was none";

    /// <summary>Whether one of several certificates is there.</summary>
    private static bool HasCertificate(ServerTls? tls, ListenerReferences references) =>
        tls is not null && tls.Credentials.Any(credential => references.Secret(new(credential.Namespace, credential.Name)) is { HasPair: true });

    /// <summary>Why a listener cannot be served, whatever it refers to. API servers refuse most of it.</summary>
    private static ApiFault? RefusalOf(ApiListener listener)
    {
        if (listener.Port is < 1 or > MaxPort) return new("PortUnavailable", $"{listener.Port} is not a port");
        if (listener.Protocol != "UDP" && Ports.IsOfGateway(listener.Port))
            return new("PortUnavailable", $"port {listener.Port} belongs to the gateway's own probes and metrics: use another one");
        if (listener.Hostname.Length > 0 && HostNames.WhyInvalid(listener.Hostname) is { } why) return new("UnsupportedValue", why);
        return listener switch
        {
            { Protocol: "HTTP" or "TCP" or "UDP", Tls: not null } =>
                new("UnsupportedProtocol", $"protocol {listener.Protocol} has no TLS: use HTTPS or TLS, or remove tls"),
            { Protocol: "HTTPS", Tls.IsPassthrough: true } => new("UnsupportedProtocol", "protocol HTTPS terminates TLS: use protocol TLS to pass it through"),
            { Protocol: "HTTP" or "HTTPS" or "TLS" or "TCP" or "UDP" } => null,
            _ => new("UnsupportedProtocol", $"protocol \"{listener.Protocol}\" is not supported: use HTTP, HTTPS, TLS, TCP or UDP"),
        };
    }

    /// <summary>The kinds of routes that fit a protocol.</summary>
    private static ValueList<RouteKind> KindsOf(ApiListener listener) => listener.Protocol switch
    {
        "HTTP" or "HTTPS" => [Kind(MeshApi.HttpRoute), Kind(MeshApi.GrpcRoute)],
        "TLS" when listener.Tls is { IsPassthrough: false } => [Kind(MeshApi.TlsRoute), Kind(MeshApi.TcpRoute)],
        "TLS" => [Kind(MeshApi.TlsRoute)],
        "TCP" => [Kind(MeshApi.TcpRoute)],
        "UDP" => [Kind(MeshApi.UdpRoute)],
        _ => [],
    };

    private static RouteKind Kind(KindDescriptor kind) => new(kind.Group, kind.Kind);

    private static GatewayServer ServerOf(ApiListener listener, ServerTls? tls) => new(
        listener.Port, listener.Name,
        listener.Protocol switch { "HTTP" => Protocol.Http, "HTTPS" => Protocol.Https, "TLS" => Protocol.Tls, "UDP" => Protocol.Udp, _ => Protocol.Tcp },
        0, null, [listener.Hostname.Length > 0 ? listener.Hostname : "*"], tls);
}
