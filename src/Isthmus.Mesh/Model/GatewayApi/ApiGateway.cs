using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using LabelNames = Isthmus.Core.Names.Labels;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>A class of Gateways, and the controller that serves it.</summary>
public sealed record GatewayClass(ObjectRef Source, string Controller, ObjectGeneration Generation)
{
    /// <summary>The object with the class' settings; null for none.</summary>
    public ApiReference? Parameters { get; init; }
}

/// <summary>A Gateway of the Gateway API. Istio's own kind of that name is <see cref="Gateway"/>.</summary>
/// <param name="CreatedAt">Unix seconds.</param>
public sealed record ApiGateway(ObjectRef Source, string Class, ValueList<ApiListener> Listeners, ObjectGeneration Generation, long CreatedAt)
{
    /// <summary>An option of a listener's TLS, and its value, with which it passes connections on by SNI at any port.</summary>
    public const string PassOption = "gateway.istio.io/listener-protocol", PassValue = "auto-passthrough";

    public string Namespace => Source.Namespace;

    public string Name => Source.Name;

    public ValueMap<string> Labels { get; init; }

    public ValueMap<string> Annotations { get; init; }

    /// <summary>The addresses that it asks for (<c>spec.addresses</c>); none: any.</summary>
    public ValueList<ApiAddress> Addresses { get; init; }

    public ApiInfrastructure Infrastructure { get; init; } = ApiInfrastructure.None;

    /// <summary>The namespaces whose ListenerSets may add listeners.</summary>
    public AllowedNamespaces AllowedListeners { get; init; } = AllowedNamespaces.None;

    /// <summary>The certificate that it shows to backends (<c>spec.tls.backend.clientCertificateRef</c>).</summary>
    public ApiReference? BackendCertificate { get; init; }

    /// <summary>Which certificates clients must have (<c>spec.tls.frontend.default</c>).</summary>
    public FrontendValidation? Frontend { get; init; }

    /// <summary>The same for some ports (<c>spec.tls.frontend.perPort</c>).</summary>
    public ValueList<PortValidation> FrontendPorts { get; init; }

    /// <summary>Which certificates clients of a port must have; null: none.</summary>
    public FrontendValidation? ValidationAt(int port) => FrontendPorts.FirstOrDefault(own => own.Port == port) is { } own ? own.Validation : Frontend;

    /// <summary>Whether a listener passes connections to the service that their SNI names, as gateways between networks do.</summary>
    public bool PassesByName(ApiListener listener)
    {
        if (listener is not { Protocol: "TLS", Tls: { IsPassthrough: true } tls }) return false;
        if (tls.Options.TryGetValue(PassOption, out var option) && option == PassValue) return true;
        return Labels.ContainsKey(LabelNames.Network) && listener.Port == PassingPort;
    }

    /// <summary>The port at which a gateway with the label of a network passes connections on without the option.</summary>
    public int PassingPort => Labels.TryGetValue(LabelNames.GatewayPort, out var own)
        && int.TryParse(own, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : Ports.EastWest;
}

/// <param name="Type"><c>IPAddress</c>, <c>Hostname</c>, or another name.</param>
/// <param name="Value">Empty: any of the type.</param>
public sealed record ApiAddress(string Type, string Value)
{
    /// <summary>From where it can be reached (<c>routability</c>). Empty: not said; of an address that is asked for, any.</summary>
    public string Routability { get; init; } = "";
}

/// <summary>What the objects made for a Gateway get (<c>spec.infrastructure</c>).</summary>
public sealed record ApiInfrastructure(ValueMap<string> Labels, ValueMap<string> Annotations, ApiReference? Parameters)
{
    public static readonly ApiInfrastructure None = new(default, default, null);
}

/// <summary>Listeners that a ListenerSet adds to a Gateway.</summary>
/// <param name="CreatedAt">Unix seconds: the older set wins a conflict.</param>
public sealed record ListenerSet(ObjectRef Source, ApiReference Parent, ValueList<ApiListener> Listeners, ObjectGeneration Generation, long CreatedAt)
{
    public string Namespace => Source.Namespace;

    public string Name => Source.Name;
}

/// <param name="Hostname">Empty: every host.</param>
/// <param name="Protocol"><c>HTTP</c>, <c>HTTPS</c>, <c>TLS</c>, <c>TCP</c>, <c>UDP</c>, or another name, as written.</param>
public sealed record ApiListener(string Name, string Hostname, int Port, string Protocol, ApiListenerTls? Tls, AllowedRoutes Routes);

/// <param name="IsPassthrough">Connections go on as they are.</param>
/// <param name="Options">Settings of implementations, as written.</param>
public sealed record ApiListenerTls(bool IsPassthrough, ValueList<ApiReference> Certificates, ValueMap<string> Options)
{
    public const string ModeOption = "gateway.istio.io/tls-terminate-mode";

    /// <summary>Clients must or may have certificates of a CA in the first Secret, or in the one beside it, unless the Gateway names other CAs.</summary>
    public bool AsksByOption => Options.TryGetValue(ModeOption, out var mode) && mode is "MUTUAL" or "OPTIONAL_MUTUAL";
}

/// <param name="Kinds">The kinds of routes that may attach; none: those that fit the protocol.</param>
public sealed record AllowedRoutes(AllowedNamespaces Namespaces, ValueList<RouteKind> Kinds)
{
    public static readonly AllowedRoutes Default = new(AllowedNamespaces.Same, default);
}

public readonly record struct RouteKind(string Group, string Kind);

public enum NamespacesFrom { None, Same, All, Selector }

/// <param name="Selector">The labels of the namespaces, for <see cref="NamespacesFrom.Selector"/>.</param>
public sealed record AllowedNamespaces(NamespacesFrom From, ApiSelector Selector)
{
    public static readonly AllowedNamespaces None = new(NamespacesFrom.None, ApiSelector.Everything);
    public static readonly AllowedNamespaces Same = new(NamespacesFrom.Same, ApiSelector.Everything);
}

/// <summary>A label selector of Kubernetes.</summary>
public sealed record ApiSelector(ValueMap<string> Labels, ValueList<SelectorRule> Rules)
{
    public static readonly ApiSelector Everything = new(default, default);
}

/// <param name="Operator"><c>In</c>, <c>NotIn</c>, <c>Exists</c> or <c>DoesNotExist</c>.</param>
public sealed record SelectorRule(string Key, string Operator, ValueList<string> Values);

/// <summary>The CAs of clients' certificates.</summary>
/// <param name="AllowsInsecure">Clients without a valid certificate are served, too (<c>AllowInsecureFallback</c>).</param>
public sealed record FrontendValidation(ValueList<ApiReference> CaCertificates, bool AllowsInsecure);

public sealed record PortValidation(int Port, FrontendValidation? Validation);
