using Isthmus.ControlPlane.Push;
using System.Globalization;
using Isthmus.Graph.Settings;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Writes an Event on each Gateway or Ingress whose certificate is missing, and keeps the status of Gateways current, where its author
/// looks.</summary>
public sealed partial class GatewayEvents(KubeClient client, PushEngine engine, TimeProvider time, ILogger log)
{
    /// <summary>In the version that is watched, too: it is served by the definitions of every version of Istio, unlike v1.</summary>
    internal static readonly ResourceKind Gateway = MeshApi.Gateway.Resource;

    internal const string CertificateReason = "InvalidCertificateRef";

    private readonly ObjectCondition _status = new(client, Gateway, (ObjectCondition.ResolvedRefs, CertificateReason), time, log);

    private HashSet<Problem> _told = [];

    public Task RunAsync(CancellationToken stop) => new Rounds(time).AfterAsync([Trigger.Publication(engine)], UpdateAsync, stop);

    private async Task<NextRound> UpdateAsync(CancellationToken stop)
    {
        var served = engine.Proxies.Select(proxy => proxy.Served).ToList();
        var problems = served.SelectMany(item => item.Problems).ToHashSet();
        await TellAsync(problems, stop).ConfigureAwait(false);
        return await _status.UpdateAsync(served.SelectMany(item => item.Gateways).ToHashSet(StringComparer.Ordinal), problems, stop).ConfigureAwait(false);
    }

    /// <summary>Writes what is new. A problem that comes back is written again.</summary>
    internal async Task TellAsync(HashSet<Problem> problems, CancellationToken stop)
    {
        foreach (var problem in problems.Where(problem => !_told.Contains(problem))) await WriteAsync(problem, stop).ConfigureAwait(false);
        _told = problems;
    }

    private async Task WriteAsync(Problem problem, CancellationToken stop)
    {
        if (problem.Object.Split(' ', '/') is not [var kind, var ns, var name] || About(kind) is not { } resource) return;
        var now = time.GetUtcNow();
        try
        {
            // kubectl describe finds events by the object's UID.
            var found = await client.FindAsync(resource, ns, name, stop).ConfigureAwait(false);
            var about = new ObjectMeta { Name = name, Namespace = ns, Uid = (string?)found?["metadata"]?["uid"] ?? "" };
            var report = new EventReport(resource, about, "Warning", "ReferencedResourceNotFound",
                string.Create(CultureInfo.InvariantCulture, $"{problem.Code} {problem.Path}: {problem.Message} ({problem.Remedy})"), "istiod");
            await client.CreateAsync(Kinds.Event, report.ToJson(EventNames.Of(name, now), now), stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            // The log line about the problem is enough; without permission to write events nothing more can be done.
            NotWritten(log, problem.Object, e.Message);
        }
    }

    private static ResourceKind? About(string kind) => kind == Gateway.Kind ? Gateway : kind == Kinds.Ingress.Kind ? Kinds.Ingress : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "No Event about {Object}: {Reason}")]
    private static partial void NotWritten(ILogger log, string @object, string reason);
}
