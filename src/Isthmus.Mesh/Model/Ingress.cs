using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Which Ingress objects gateways serve (<c>ingressControllerMode</c>).</summary>
public enum IngressMode
{
    Off,

    /// <summary>Those of the mesh's class, and those of none.</summary>
    Default,

    /// <summary>Those of the mesh's class.</summary>
    Strict,
}

/// <summary>How gateways serve Ingress objects (MeshConfig).</summary>
/// <param name="Class">The class that objects name by annotation.</param>
/// <param name="Service">The Service whose addresses are those of the objects.</param>
/// <param name="Selector">The value of the gateways' label <c>istio</c>; empty: it follows from the Service.</param>
public sealed record IngressSettings(IngressMode Mode, string Class, string Service, string Selector)
{
    public const string DefaultService = "istio-ingressgateway", Controller = "istio.io/ingress-controller";

    public static readonly IngressSettings Default = new(IngressMode.Strict, "istio", DefaultService, "");

    /// <summary>The labels of the gateways that serve Ingress objects.</summary>
    public ValueMap<string> GatewayLabels =>
        new([KeyValuePair.Create("istio", Selector.Length > 0 ? Selector : Service != DefaultService ? Service : "ingressgateway")]);

    /// <summary>Whether gateways serve the Ingress.</summary>
    /// <param name="controller">The controller of the class that it names; null if there is no such class.</param>
    public bool Serves(Ingress ingress, string? controller) => Mode != IngressMode.Off && (
        ingress.Annotation is { } named ? named == Class
        : ingress.Class is not null ? controller == Controller
        : Mode == IngressMode.Default);
}

/// <summary>The port of a Service, by number or by name.</summary>
/// <param name="Number">0: the name counts.</param>
/// <param name="Service">Empty: the backend is not a Service.</param>
public sealed record IngressTarget(string Service, int Number, string PortName);

public enum IngressPathType { Exact, Prefix, ImplementationSpecific }

public sealed record IngressRoute(string Path, IngressPathType Type, IngressTarget Target);

/// <param name="Host">Empty: every host.</param>
public sealed record IngressHost(string Host, ValueList<IngressRoute> Routes);

public sealed record IngressCertificate(ValueList<string> Hosts, string Secret);

/// <summary>An Ingress of Kubernetes.</summary>
/// <param name="Class">The name of its IngressClass; null for none.</param>
/// <param name="Annotation">The annotation <c>kubernetes.io/ingress.class</c>, which wins; null for none.</param>
/// <param name="Fallback">Where requests go that no rule matches; null: nowhere.</param>
/// <param name="Addresses">What its status says.</param>
public sealed record Ingress(
    ObjectRef Source,
    string? Class,
    string? Annotation,
    ValueList<IngressHost> Hosts,
    IngressTarget? Fallback,
    ValueList<IngressCertificate> Certificates,
    ValueList<EndpointAddress> Addresses)
{
    public string Namespace => Source.Namespace;
    public string Name => Source.Name;

    /// <summary>Unix seconds.</summary>
    public long CreatedAt { get; init; }
}

/// <summary>A class of Ingress objects, and the controller that serves them.</summary>
public sealed record IngressClass(ObjectRef Source, string Controller);
