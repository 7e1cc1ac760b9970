using Isthmus.Tests.Mesh.Mesh;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>Something that fails and is over.</summary>
internal sealed record TopologyFault(string Name, Func<SteadyLoad, Task> Happens)
{
    /// <summary>Requests of each caller that may have been inside what went away: a caller has one at a time.</summary>
    internal int Lost { get; init; }

    /// <summary>The cluster whose API server is away: who calls there is heard when it is back.</summary>
    internal string WithoutApiServer { get; init; } = "";

    /// <summary>The cluster that is away with everything in it, callers too.</summary>
    internal string WithoutPower { get; init; } = "";
}
