namespace Isthmus.Mesh.Model;

/// <summary>The Kubernetes object that something was read from. It has no resourceVersion, so a status update changes nothing.</summary>
/// <param name="Cluster">The cluster's ID.</param>
public readonly record struct ObjectRef(string Cluster, string Kind, string Namespace, string Name) : IComparable<ObjectRef>
{
    public int CompareTo(ObjectRef other)
    {
        var order = string.CompareOrdinal(Cluster, other.Cluster);
        if (order == 0) order = string.CompareOrdinal(Kind, other.Kind);
        if (order == 0) order = string.CompareOrdinal(Namespace, other.Namespace);
        return order != 0 ? order : string.CompareOrdinal(Name, other.Name);
    }

    public override string ToString() =>
        Namespace.Length == 0 ? $"{Kind} {Name} in {Cluster}" : $"{Kind} {Namespace}/{Name} in {Cluster}";
}

/// <summary>The key of a namespaced object of one cluster.</summary>
public readonly record struct ObjectKey(string Cluster, string Namespace, string Name) : IComparable<ObjectKey>
{
    public int CompareTo(ObjectKey other)
    {
        var order = string.CompareOrdinal(Cluster, other.Cluster);
        if (order == 0) order = string.CompareOrdinal(Namespace, other.Namespace);
        return order != 0 ? order : string.CompareOrdinal(Name, other.Name);
    }

    public override string ToString() => $"{Cluster}/{Namespace}/{Name}";
}

/// <summary>A host as one cluster knows it.</summary>
public readonly record struct ClusterHost(string Cluster, string Hostname) : IComparable<ClusterHost>
{
    public int CompareTo(ClusterHost other)
    {
        var order = string.CompareOrdinal(Hostname, other.Hostname);
        return order != 0 ? order : string.CompareOrdinal(Cluster, other.Cluster);
    }

    public override string ToString() => $"{Hostname} in {Cluster}";
}
