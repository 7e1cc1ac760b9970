using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Ports of WorkloadEntries, which have the names of the ports of what selects them.</summary>
internal static class EntryPorts
{
    /// <summary>A WorkloadEntry that gives a port by a name that the called port has not, so that its number counts for nothing; null for others.</summary>
    /// <param name="name">The kind and the name of the entry.</param>
    public static Problem? Unnamed(TraceFacts facts, string name, TracedCall call)
    {
        var config = facts.ConfigOf(facts.Home);
        if (config.Istio<WorkloadEntry>().FirstOrDefault(one => $"WorkloadEntry {one.Namespace}/{one.Name}" == name) is not { } entry
            || entry.Endpoint.Ports.Count == 0) return null;
        var called = call.Host?.Entries.SelectMany(one => one.Ports).Select(port => (port.Number, port.Name))
            .Concat(call.Host.Services.SelectMany(one => one.Service.Spec.Ports).Select(port => (port.Port, port.Name)))
            .FirstOrDefault(port => port.Item1 == call.Port).Item2 ?? "";
        if (called.Length == 0 || entry.Endpoint.Ports.ContainsKey(called)) return null;
        var (key, number) = entry.Endpoint.Ports.First();
        return Faults.Of("ISM2090", $"{name} in {config.Context}", "spec.ports",
            $"has {string.Join(", ", entry.Endpoint.Ports.Select(port => $"{port.Key}: {port.Value}"))}, and port {call.Port} of {call.Host!.Fqdn} is named "
                + $"{called}, so the port of the entry has no effect",
            $"write {called} instead of {key}, if the application listens on {number}");
    }
}
