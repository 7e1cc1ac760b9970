using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The network namespace and address of one Pod.</summary>
/// <param name="network">Null for a Pod on the host's network.</param>
/// <param name="file">The path of the record.</param>
internal sealed class PodSandbox(PodRecord record, NamespaceHandle? network, string file) : IDisposable
{
    internal PodRecord Record { get; private set; } = record;

    /// <summary>Null for a Pod on the host's network.</summary>
    internal NamespaceHandle? Network => network;

    internal void MarkInitialized()
    {
        if (Record.Initialized) return;
        Record = Record with { Initialized = true };
        StateFile.Write(file, Record, NodeJson.Default.PodRecord);
    }

    public void Dispose() => network?.Dispose();
}
