using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using Ingress = Isthmus.Mesh.Model.Ingress;
using IngressClass = Isthmus.Mesh.Model.IngressClass;
using IngressHost = Isthmus.Mesh.Model.IngressHost;

namespace Isthmus.Graph.Derive;

/// <summary>Reduces Ingress objects and their classes to the fields that a mesh uses.</summary>
public static class IngressFacts
{
    private const string ClassAnnotation = "kubernetes.io/ingress.class";

    public static Ingress Of(string cluster, Kubernetes.Objects.Ingress ingress)
    {
        var (meta, spec) = (ingress.Metadata, ingress.Spec);
        return new(
            new(cluster, "Ingress", meta.Namespace, meta.Name),
            spec.IngressClassName,
            meta.Annotations.GetValueOrDefault(ClassAnnotation),
            spec.Rules.Select(rule => new IngressHost(rule.Host,
                (rule.Http?.Paths ?? []).Select(path => new IngressRoute(path.Path, TypeOf(path.PathType), Target(path.Backend))).ToValueList()))
                .ToValueList(),
            spec.DefaultBackend is { } fallback ? Target(fallback) : null,
            spec.Tls.Select(tls => new IngressCertificate(tls.Hosts.ToValueList(), tls.SecretName)).ToValueList(),
            ingress.Status.LoadBalancer.Ingress.Select(address => EndpointAddress.Parse(address.Ip.Length > 0 ? address.Ip : address.Hostname)).ToValueList())
        {
            CreatedAt = meta.CreationTimestamp?.ToUnixTimeSeconds() ?? 0,
        };
    }

    public static IngressClass Of(string cluster, Kubernetes.Objects.IngressClass item) =>
        new(new(cluster, "IngressClass", "", item.Metadata.Name), item.Spec.Controller);

    private static IngressPathType TypeOf(string type) => type switch
    {
        "Exact" => IngressPathType.Exact,
        "Prefix" => IngressPathType.Prefix,
        _ => IngressPathType.ImplementationSpecific,
    };

    private static IngressTarget Target(IngressBackend backend) =>
        new(backend.Service?.Name ?? "", backend.Service?.Port.Number ?? 0, backend.Service?.Port.Name ?? "");
}
