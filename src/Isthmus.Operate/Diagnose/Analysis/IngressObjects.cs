using System.Text.Json;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;
using Ingress = Isthmus.Kubernetes.Objects.Ingress;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ingress objects that are meant for gateways of the mesh: those that none serves, and backends that do not exist. Pure.</summary>
public static class IngressObjects
{
    private const string ClassAnnotation = "kubernetes.io/ingress.class";

    public static Analyzer Analyzer
    {
        get;
    } = new("ingress.IngressAnalyzer", "Checks that gateways serve the Ingress objects that are meant for them, and that their backends exist",
        [OwnCodes.IngressIneffective, GatewayCodes.IngressOfNobody, IstioCodes.ReferencedResourceNotFound],
        ["Ingress", "IngressClass", "Service", "Pod"], mesh =>
        from cluster in mesh.Readable
        from value in cluster.Objects("Ingress")
        from finding in Check(mesh, cluster, ClusterInventory.NameOf(value), value.Deserialize(KubeJson.Of<Ingress>())!)
        select finding);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ClusterInventory cluster, string name, Ingress ingress)
    {
        var settings = Settings(cluster);
        var annotation = ingress.Metadata.Annotations.GetValueOrDefault(ClassAnnotation);
        var named = ingress.Spec.IngressClassName;
        var known = named is null ? null : cluster.Find($"IngressClass {named}");
        var isOurs = annotation is not null ? annotation == settings.Class
            : named is not null ? (known is null ? named == settings.Class : known["spec"]?["controller"]?.ToString() == IngressSettings.Controller)
            : settings.Mode == IngressMode.Default && cluster.Mesh is not null;
        if (!isOurs) return OfNobody(cluster, name, ingress);
        if (!MeshSnapshot.HasControlPlane(cluster) && mesh.Readable.FirstOrDefault(MeshSnapshot.HasControlPlane) is { } primary)
            return [OwnCodes.IngressIneffective.At(cluster, name, "",
                "has no effect: control planes read Ingress objects of their own cluster only",
                $"apply it in the cluster of the control plane (kubectl --context={primary.Context} apply -f FILE), and delete it here: kubectl "
                    + $"--context={cluster.Context} -n {ingress.Metadata.Namespace} delete ingress {ingress.Metadata.Name}")];
        if (settings.Mode == IngressMode.Off)
            return [OwnCodes.IngressIneffective.At(cluster, name, "", "has no effect: ingressControllerMode of MeshConfig is OFF",
                "install with meshConfig.ingressControllerMode=STRICT, so that gateways serve the Ingress objects that name their class, "
                    + "or delete the Ingress")];
        if (annotation is null && known is null && named is not null)
            return [OwnCodes.IngressIneffective.At(cluster, name, "spec.ingressClassName",
                $"has no effect: there is no IngressClass \"{named}\"",
                $"create IngressClass {named} with spec.controller: {IngressSettings.Controller}"
                    + (cluster.IngressClasses(IngressSettings.Controller) is { Count: > 0 } ours ? $", or name {string.Join(" or ", ours)}" : ""))];
        var (label, value) = settings.GatewayLabels.Single();
        if (cluster.Knows("Pod") && cluster.Pods.Count > 0 && !cluster.Pods.Any(pod => pod.Metadata.Labels.GetValueOrDefault(label) == value))
            return [OwnCodes.IngressIneffective.At(cluster, name, "",
                $"has no effect: gateways with the label {label}={value} serve Ingress objects"
                    + $"{(settings.Selector.Length > 0 ? " (ingressSelector of MeshConfig)" : "")}, and no Pod has it",
                $"install with meshConfig.ingressSelector set to the label {label} of your gateway, "
                    + $"or give the Pods of the gateway the label {label}={value}")];
        return Backends(ingress).SelectMany(backend => Lack(cluster, ingress.Metadata.Namespace, backend.Backend) is { } lack
            ? (IEnumerable<Finding>)[IstioCodes.ReferencedResourceNotFound.At(cluster, name, $"{backend.Path}.{lack.Field}", lack.Message)] : []);
    }

    /// <summary>The Ingress objects that gateways of the mesh serve.</summary>
    internal static IEnumerable<Mesh.Model.Ingress> Served(ClusterInventory cluster) => cluster.Ingresses.Where(ingress =>
        Settings(cluster).Serves(ingress, ingress.Class is { } named ? cluster.ControllerOf(named) : null));

    /// <summary>The class of an Ingress has no controller that anybody could know.</summary>
    private static IEnumerable<Finding> OfNobody(ClusterInventory cluster, string name, Ingress ingress)
    {
        var annotation = ingress.Metadata.Annotations.GetValueOrDefault(ClassAnnotation);
        if ((annotation ?? ingress.Spec.IngressClassName) is not { Length: > 0 } named || cluster.ControllerOf(named) is not null
            || !cluster.Knows("IngressClass")) return [];
        var ours = cluster.IngressClasses(IngressSettings.Controller);
        return [GatewayCodes.IngressOfNobody.At(cluster, name, annotation is null ? "spec.ingressClassName" : $"metadata.annotations[{ClassAnnotation}]",
            $"is {named}, and there is no IngressClass \"{named}\": unless a controller takes this name by itself, nothing serves the Ingress; gateways "
                + "of the mesh do not",
            annotation is not null ? $"for gateways of the mesh, write {Settings(cluster).Class}"
                : ours.Count > 0 ? $"for gateways of the mesh, write {string.Join(" or ", ours)}"
                : $"for gateways of the mesh, create an IngressClass with controller {IngressSettings.Controller}, and name it")];
    }

    private static IngressSettings Settings(ClusterInventory cluster) => cluster.Mesh?.Ingress ?? IngressSettings.Default;

    /// <summary>The Services to which Ingress objects send requests.</summary>
    internal static IEnumerable<(string Namespace, string Name)> BackendServices(MeshSnapshot mesh) =>
        from cluster in mesh.Readable
        from value in cluster.Objects("Ingress")
        let ingress = value.Deserialize(KubeJson.Of<Ingress>())!
        from backend in Backends(ingress)
        where backend.Backend.Service is not null
        select (ingress.Metadata.Namespace, backend.Backend.Service!.Name);

    private static IEnumerable<(string Path, IngressBackend Backend)> Backends(Ingress ingress)
    {
        if (ingress.Spec.DefaultBackend is { } fallback) yield return ("spec.defaultBackend", fallback);
        foreach (var (i, rule) in ingress.Spec.Rules.Index())
            foreach (var (j, path) in (rule.Http?.Paths ?? []).Index()) yield return ($"spec.rules[{i}].http.paths[{j}].backend", path.Backend);
    }

    private static (string Field, string Message)? Lack(ClusterInventory cluster, string ns, IngressBackend backend)
    {
        if (backend.Service is not { } to) return ("resource", "is not a Service, and gateways answer 503: use a Service");
        if (cluster.Service(ns, to.Name) is not { } service)
            return ("service.name", $"Referenced service not found: \"{to.Name}\": there is no Service {ns}/{to.Name}, and gateways answer 503");
        return service.Spec.Ports.Any(port => to.Port.Number > 0 ? port.Port == to.Port.Number : port.Name == to.Port.Name) ? null
            : ("service.port",
                $"Referenced port not found: \"{(to.Port.Number > 0 ? $"{to.Port.Number}" : to.Port.Name)}\": Service {ns}/{to.Name} does not have it, and "
                    + $"gateways answer 503");
    }
}
