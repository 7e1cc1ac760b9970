using Isthmus.Tests.Mesh.Faults;


namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>A fault that begins and ends.</summary>
internal sealed record TopologyFault(string Name, Func<SteadyLoad, Task> Happens)
{
    /// <summary>Requests of each caller that may have been in flight in the failed part: a caller has one at a
    /// time.</summary>
    internal int Lost { get; init; }

    /// <summary>The cluster whose API server is down: its callers' answers are read when it is back.</summary>
    internal string WithoutApiServer { get; init; } = "";

    /// <summary>The cluster that is down with everything in it, including callers.</summary>
    internal string WithoutPower { get; init; } = "";
}
