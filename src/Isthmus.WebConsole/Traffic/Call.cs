namespace Isthmus.WebConsole.Traffic;

/// <summary>Who calls which service, as a proxy's metrics name them.</summary>
/// <param name="BySource">Whether the caller's proxy counted the calls; otherwise the callee's did.</param>
/// <param name="Protocol"><c>http</c>, <c>grpc</c> or <c>tcp</c>.</param>
internal readonly record struct Call(Party Source, Party Destination, bool BySource, string Protocol)
{
    /// <summary>The cluster of the proxy that counted.</summary>
    public string CountedIn => BySource ? Source.Cluster : Destination.Cluster;
}

/// <summary>One end of a call.</summary>
/// <param name="Name">The workload of a caller, the service of a callee.</param>
/// <param name="Cluster">The name that the control plane uses for the cluster.</param>
internal readonly record struct Party(string Name, string Namespace, string Cluster);

/// <summary>What a proxy has counted of a call since it started.</summary>
internal sealed class CallTotals
{
    public double Requests { get; set; }
    public double Errors { get; set; }

    /// <summary>Requests that were answered with 401 or 403.</summary>
    public double Denied { get; set; }

    public double Bytes { get; set; }
    public double Connections { get; set; }
    public double[] Buckets { get; private set; } = [];

    /// <summary>The caller's identity; empty when the proxy knows none.</summary>
    public string Identity { get; set; } = "";

    /// <summary>Whether the calls used mutual TLS; null when the proxy cannot know.</summary>
    public bool? IsMutualTls { get; set; }

    /// <summary>How many calls failed, by their response flags.</summary>
    public Dictionary<string, double> Flags { get; } = new(StringComparer.Ordinal);

    public void AddBucket(int index, double count)
    {
        if (Buckets.Length == 0) Buckets = new double[LatencyBuckets.Count];
        Buckets[index] += count;
    }
}
