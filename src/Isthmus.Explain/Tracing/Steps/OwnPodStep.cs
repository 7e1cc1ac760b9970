using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>A call of localhost, which is the caller's Pod: it neither leaves the Pod nor meets a proxy.</summary>
internal sealed class OwnPodStep(TraceFacts facts, TraceRecord record, TracedCall call)
{
    private const string Hop = "application";

    public void Walk()
    {
        var port = call.Destination.Port;
        if (facts.Proxies.GetValueOrDefault(facts.Client)?.Listening is not { } listening)
            record.Add(Hop, HopStatus.Unknown, $"{call.Destination} is {facts.Client} itself, and where its programs listen is not known", null);
        else if (listening.Any(at => at.Port == port))
            record.Ok(Hop, $"{call.Destination} is a program of {facts.Client} itself: the call does not leave the Pod");
        else
        {
            var having = facts.Clusters.SelectMany(cluster => cluster.Services).Where(service => service.Metadata.Namespace == facts.Client.Namespace
                && service.Spec.Ports.Exists(one => one.Port == port)).Select(service => service.Metadata.Name).Distinct().ToList();
            record.Fail(Hop, $"nothing listens on port {port}", Faults.Of("ISM2176", facts.Client.ToString(), "spec.containers",
                $"is what {facts.Target.Host} means in a Pod: the Pod itself, and none of its containers listens on port {port}",
                $"call a Service by its name{(having is [var only] ? $": {only}:{port}" : "")}, or run what is meant in a container of this Pod"));
        }
    }
}
