using Isthmus.Mesh.Generate;

namespace Isthmus.ControlPlane.Push;

/// <summary>Which virtual hosts of a gateway's tables route to a host, so that a changed Service costs these, and none of the others.</summary>
internal sealed class RouteDestinations
{
    private readonly Dictionary<string, HashSet<(GatewayTable Table, string Name)>> _users = new(StringComparer.Ordinal);

    /// <summary>The virtual hosts that route to a host, by their tables.</summary>
    public IReadOnlyCollection<(GatewayTable Table, string Name)> Of(string host) => _users.TryGetValue(host, out var users) ? users : [];

    public void Add(GatewayTable table, string name, IEnumerable<ServerRoutes> routes)
    {
        foreach (var host in HostsOf(routes))
        {
            if (_users.TryGetValue(host, out var users)) users.Add((table, name));
            else _users[host] = [(table, name)];
        }
    }

    public void Remove(GatewayTable table, string name, IEnumerable<ServerRoutes> routes)
    {
        foreach (var host in HostsOf(routes))
            if (_users.TryGetValue(host, out var users) && users.Remove((table, name)) && users.Count == 0) _users.Remove(host);
    }

    private static IEnumerable<string> HostsOf(IEnumerable<ServerRoutes> routes) =>
        routes.SelectMany(item => item.Routes.HttpDestinations).Distinct(StringComparer.Ordinal);
}
