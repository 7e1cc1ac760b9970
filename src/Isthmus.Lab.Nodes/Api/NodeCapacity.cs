using System.Globalization;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>The capacity that a node reports; a container without limits may use all of it.</summary>
/// <param name="Cpus">Cores.</param>
/// <param name="MemoryBytes">Bytes of memory.</param>
internal sealed record NodeCapacity(decimal Cpus, long MemoryBytes)
{
    /// <summary>The capacity of this machine.</summary>
    internal static NodeCapacity Measure()
    {
        var memory = File.ReadLines("/proc/meminfo").First(line => line.StartsWith("MemTotal:", StringComparison.Ordinal));
        var kilobytes = long.Parse(memory.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
        return new(Environment.ProcessorCount, kilobytes * 1024);
    }
}
