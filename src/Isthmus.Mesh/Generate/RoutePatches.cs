using System.Globalization;
using Google.Protobuf.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>Patches of route tables, virtual hosts and routes.</summary>
internal sealed class RoutePatches(ILookup<PatchTarget, ReadPatch> patches, PatchContext context)
{
    public static readonly PatchTarget[] Targets = [PatchTarget.RouteConfiguration, PatchTarget.VirtualHost, PatchTarget.HttpRoute];

    public bool Any { get; } = Targets.Any(target => patches[target].Any());

    public void Apply(RouteConfiguration table)
    {
        foreach (var patch in For(PatchTarget.RouteConfiguration, table)) patch.MergeInto(table);
        var hosts = table.VirtualHosts.Select(host => Apply(host, table)).OfType<VirtualHost>().ToList();
        table.VirtualHosts.Clear();
        table.VirtualHosts.AddRange(hosts);
        foreach (var patch in For(PatchTarget.VirtualHost, table).Where(patch => patch.Operation == PatchOperation.Add))
            table.VirtualHosts.Add(patch.Copy<VirtualHost>());
    }

    private IEnumerable<ReadPatch> For(PatchTarget target, RouteConfiguration table) =>
        patches[target].Where(patch => patch.Patch.RouteTable is not { } match || Matches(match, table.Name));

    private VirtualHost? Apply(VirtualHost host, RouteConfiguration table)
    {
        foreach (var patch in For(PatchTarget.VirtualHost, table).Where(patch => Matches(patch.Patch.RouteTable, host)))
        {
            if (patch.Operation == PatchOperation.Remove) return null;
            if (patch.IsMerge) patch.MergeInto(host);
            if (patch.Operation == PatchOperation.Replace) host = patch.Copy<VirtualHost>();
        }
        foreach (var patch in For(PatchTarget.HttpRoute, table).Where(patch => Matches(patch.Patch.RouteTable, host)).ToList()) Apply(patch, host.Routes);
        return host;
    }

    private static void Apply(ReadPatch patch, RepeatedField<Route> routes)
    {
        var match = patch.Patch.RouteTable;
        var namesOne = match is { Route.Length: > 0 } or { Action: not PatchRouteAction.Any };
        patch.Place(routes, namesOne ? route => Matches(match!, route) : null);
        foreach (var route in routes.Where(route => match is null || Matches(match, route)).ToList())
        {
            if (patch.Operation == PatchOperation.Remove) routes.Remove(route);
            if (patch.IsMerge) patch.MergeInto(route);
        }
    }

    private static bool Matches(RouteTableMatch? match, VirtualHost host) =>
        match is null
            || ((match.VirtualHost.Length == 0 || match.VirtualHost == host.Name) && (match.Domain.Length == 0 || host.Domains.Contains(match.Domain)));

    private static bool Matches(RouteTableMatch match, Route route) => (match.Route.Length == 0 || match.Route == route.Name) && match.Action switch
    {
        PatchRouteAction.Route => route.ActionCase == Route.ActionOneofCase.Route_,
        PatchRouteAction.Redirect => route.ActionCase == Route.ActionOneofCase.Redirect,
        PatchRouteAction.DirectResponse => route.ActionCase == Route.ActionOneofCase.DirectResponse,
        _ => true,
    };

    private bool Matches(RouteTableMatch match, string table)
    {
        if (match.Name.Length > 0 && match.Name != table) return false;
        if (context != PatchContext.Gateway)
        {
            var port = table.StartsWith("inbound|", StringComparison.Ordinal) ? table.Split('|')[1] : table;
            return match.Port == 0 || port == match.Port.ToString(CultureInfo.InvariantCulture);
        }
        // http.PORT, http.PORT.ADDRESS, or https.PORT.PORTNAME.GATEWAY.NAMESPACE
        var parts = table.Split('.');
        return (match.Port == 0 || (parts.Length > 1 && parts[1] == match.Port.ToString(CultureInfo.InvariantCulture)))
            && (match.PortName.Length == 0 || (parts.Length == 5 && parts[2] == match.PortName))
            && (match.Gateway.Length == 0 || (parts.Length == 5 && $"{parts[4]}/{parts[3]}" == match.Gateway));
    }
}
