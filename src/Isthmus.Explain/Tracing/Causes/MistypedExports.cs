using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>ServiceExports that were meant for a Service and have another name: they export nothing.</summary>
internal static class MistypedExports
{
    /// <param name="name">The name in <c>clusterset.local</c> that is called.</param>
    /// <returns>Null if there is none, or if they may not be read.</returns>
    public static Problem? Of(TraceFacts facts, MeshHost host, string name)
    {
        foreach (var cluster in facts.Clusters)
        {
            var exports = cluster.ServiceExports.Where(export => export.Namespace == host.Namespace).Select(export => export.Name)
                .ToHashSet(StringComparer.Ordinal);
            if (exports.Contains(host.Name) || exports.Order(StringComparer.Ordinal).FirstOrDefault(other =>
                facts.Clusters.All(one => one.Service(host.Namespace, other) is null) && Spelling.IsMistyped(other, host.Name)) is not { } wrong) continue;
            var kubectl = $"kubectl --context={cluster.Context}";
            return Faults.Of("ISM2108", $"ServiceExport {host.Namespace}/{wrong} in {cluster.Context}", "metadata.name",
                $"is {wrong}, and no Service has this name, so it exports nothing, and {name} does not lead to the Pods of Service {host.Namespace}/"
                    + $"{host.Name} there",
                $"{kubectl} apply -f - <<< '{EndpointCauses.Export(host)}'; {kubectl} -n {host.Namespace} delete serviceexport {wrong}");
        }
        return null;
    }
}
