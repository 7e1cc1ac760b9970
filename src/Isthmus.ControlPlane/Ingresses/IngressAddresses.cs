using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Ingresses;

/// <summary>An Ingress whose status does not have the addresses of its gateways.</summary>
internal sealed record OutdatedIngress(ObjectKey Key, ValueList<EndpointAddress> Addresses);

/// <summary>Which addresses the status of Ingress objects should have. Pure.</summary>
internal static class IngressAddresses
{
    /// <param name="ns">The namespace of the gateways' Service.</param>
    /// <param name="written">The objects whose status this control plane has written: it is cleared when gateways no longer serve them.</param>
    public static IReadOnlyList<OutdatedIngress> Outdated(MeshGraph mesh, string ns, IReadOnlySet<ObjectKey> written)
    {
        var settings = (mesh.Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh.Ingress;
        return
        [
            .. from ingress in mesh.ServedIngresses.Items
               let addresses = Of(mesh.Sources.Services.Items.GetValueOrDefault(new ObjectKey(ingress.Key.Cluster, ns, settings.Service)))
               where !addresses.SequenceEqual(ingress.Value.Addresses.Order())
               select new OutdatedIngress(ingress.Key, addresses),
            .. from key in written
               where !mesh.ServedIngresses.Items.ContainsKey(key) && mesh.Sources.Ingresses.Items.GetValueOrDefault(key) is { Addresses.IsEmpty: false }
               select new OutdatedIngress(key, default),
        ];
    }

    private static ValueList<EndpointAddress> Of(ClusterService? service) =>
        service is null ? default
            : service.ExternalName.Length > 0 ? [EndpointAddress.Parse(service.ExternalName)]
            : service.ExternalAddresses.Order().ToValueList();
}
