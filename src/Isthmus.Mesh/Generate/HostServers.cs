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
    public IReadOnlyCollection<string> Names => _servers.Keys;

    /// <summary>Null when no host covers the name.</summary>
    public BoundServer? Of(string name) =>
        _servers.TryGetValue(name, out var exact) ? exact : WiderThan(name) is { } wider ? _servers[wider] : null;

    /// <summary>The most exact of the other hosts that cover a name; null: none does.</summary>
    public string? WiderThan(string name) => Wildcards(name).FirstOrDefault(_servers.ContainsKey);

    /// <summary>The wildcards that cover a name and are not the name itself, the most exact first.</summary>
    public static IEnumerable<string> Wildcards(string name)
    {
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
            if (dot != 1 || name[0] != '*') yield return $"*{name[dot..]}";
        if (name != "*") yield return "*";
    }
}
