namespace Isthmus.Mesh.Generate;

/// <summary>Which of some servers a name is for: that of the most exact host. The first server that has a host has it.</summary>
internal sealed class HostServers
{
    private readonly Dictionary<string, BoundServer> _servers = new(StringComparer.Ordinal);

    public HostServers(IEnumerable<BoundServer> servers)
    {
        All = [.. servers];
        foreach (var server in All)
            foreach (var host in server.HostNames) _servers.TryAdd(host, server);
    }

    public IReadOnlyList<BoundServer> All { get; }

    /// <summary>The hosts of the servers.</summary>
    public IEnumerable<string> Names => _servers.Keys;

    /// <summary>Null when no host covers the name.</summary>
    public BoundServer? Of(string name)
    {
        if (_servers.TryGetValue(name, out var exact)) return exact;
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
            if (_servers.TryGetValue($"*{name[dot..]}", out var covering)) return covering;
        return _servers.GetValueOrDefault("*");
    }
}
