using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>
/// The Services to which routes bring calls of other hosts within the mesh. Sidecars send calls of a headless Service to the address that the caller chose,
/// which is that of the other host here: for these, they need the endpoints.
/// </summary>
internal sealed class RouteTargets
{
    private readonly Live<string, string> _hosts;

    /// <param name="routes">All routes.</param>
    public RouteTargets(Live<ObjectRef, ApiRoute> routes) => _hosts = routes
        .Derive((_, route) => HostsOf(route).Select(host => KeyValuePair.Create((route.Source, host), host)), "targets of mesh routes")
        .GroupBy(host => host, "routes by target")
        // One more route to a host is none of its callers' business.
        .Derive((_, all) => (IEnumerable<KeyValuePair<string, string>>)[KeyValuePair.Create(all[0], all[0])], "hosts with mesh routes");

    /// <summary>The Service that a host stands for.</summary>
    public static string HostOf(MeshService service) => service.ExportOf.Length > 0 ? service.ExportOf : service.Hostname;

    /// <summary>Whether it is a headless one of them.</summary>
    public bool Has(Reader read, MeshService service) => service.Headless && read.Get(_hosts, HostOf(service)) is not null;

    private static IEnumerable<string> HostsOf(ApiRoute route)
    {
        var called = route.Parents.Where(MeshRouteDerivation.IsMesh).Distinct().ToList();
        if (called.Count == 0) return [];
        return route.Rules.SelectMany(To).Where(to => to.Kind is "Service" or "ServiceImport")
            .Where(to => called.Exists(parent => parent.Kind != "Service" || (parent.Namespace, parent.Name) != (to.Namespace, to.Name)))
            .Select(BackendTlsDerivation.HostOf).Distinct(StringComparer.Ordinal);
    }

    private static IEnumerable<ApiReference> To(ApiRule rule) => rule.Backends
        .SelectMany(backend => backend.Mirrors.Select(mirror => mirror.To).Prepend(backend.To))
        .Concat(rule.Mirrors.Select(mirror => mirror.To)).Concat(rule.Authorizer is { } authorizer ? [authorizer.To] : []);
}
