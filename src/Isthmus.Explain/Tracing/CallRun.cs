using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing;

/// <summary>Makes the calls of a trace, and asks the proxies on their way what they saw.</summary>
internal sealed class CallRun(IReadOnlyDictionary<string, KubeClient> clients, string istioNamespace)
{
    /// <summary>How many calls are under way at once.</summary>
    private const int AtOnce = 10;

    /// <summary>The call, once, with a mark by which proxies recognize it.</summary>
    public async Task<CallReport?> MakeAsync(AddressWalk walk, string id, TimeSpan timeout, CancellationToken stop)
    {
        var (client, call) = (walk.Facts.Client, walk.Called!);
        var isEnvoy = walk.Facts.Proxies[client].Stranger.Length > 0;
        var question = new CallQuestion(call.To.ToString())
        {
            Kind = call.Kind, Authority = call.Authority, Path = call.Path, Method = call.Method, Id = id, Timeout = CallQuestion.Milliseconds(timeout),
            Headers = [.. call.Sent.Headers.Where(header => header.Name != "host").Select(header => $"{header.Name}: {header.Value}")], Body = call.Sent.Body,
            Upgrade = call.IsWebSocket ? "websocket" : "",
        };
        try
        {
            var query = new MeshQuery(clients[client.Context], istioNamespace) { Patience = timeout + PodRequest.UsualPatience };
            return await query.CallAsync(client.Namespace, client.Name, isEnvoy, question, stop);
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return new() { NotMade = $"the caller's proxy cannot be asked for it: {e.Message}" };
        }
    }

    /// <summary>Notes what came of the call; false if it was not made.</summary>
    public async Task<bool> SeeAsync(AddressWalk walk, CallReport answer, CancellationToken stop)
    {
        if (answer.NotMade is { Length: > 0 } why)
        {
            walk.Facts.NotMade = why;
            return false;
        }
        if (walk.Called!.IsWebSocket && answer is { Upgraded: null, Status: not null })
        {
            walk.Facts.NotMade = "the caller's proxy is of an older release, which makes no WebSockets: restart the Pod";
            return false;
        }
        Explain(walk.Facts, await ReadAsync(walk, walk.Id, answer, stop));
        return true;
    }

    /// <summary>Makes the call again, and explains the worst of all.</summary>
    public async Task RepeatAsync(AddressWalk walk, int times, TimeSpan timeout, CancellationToken stop)
    {
        if (times <= 0) return;
        List<CallOutcome> outcomes = [new(walk.Facts.Call!, walk.Facts.Sightings)];
        foreach (var ids in Enumerable.Range(0, times).Select(_ => walk.NewId()).Chunk(AtOnce))
            outcomes.AddRange((await Task.WhenAll(ids.Select(id => AgainAsync(walk, id, timeout, stop)))).OfType<CallOutcome>());
        walk.Facts.Outcomes = outcomes;
        // The order is stable: of calls that are equally bad, the first is explained.
        Explain(walk.Facts, outcomes.OrderByDescending(one => RepeatedCalls.Badness(one.Call)).First());
    }

    private static void Explain(TraceFacts facts, CallOutcome outcome) => (facts.Call, facts.Sightings) = (outcome.Call, outcome.Sightings);

    private async Task<CallOutcome?> AgainAsync(AddressWalk walk, string id, TimeSpan timeout, CancellationToken stop) =>
        await MakeAsync(walk, id, timeout, stop) is { NotMade: null or "" } answer ? await ReadAsync(walk, id, answer, stop) : null;

    /// <summary>What the proxies on the way of a call saw of it.</summary>
    private async Task<CallOutcome> ReadAsync(AddressWalk walk, string id, CallReport answer, CancellationToken stop)
    {
        var sightings = await Task.WhenAll(Witnesses(walk.Facts, answer).Select(proxy => RecentAsync(proxy, id, stop)));
        var related = CallReading.Related([.. sightings.SelectMany(list => list)], answer, walk.Facts.AddressOf);
        return new(CallReading.Read(walk.Called!, answer, related, walk.Facts.IsGateway), new(related));
    }

    /// <summary>The Pods that the call may have reached: the one that the caller's proxy chose or, behind a gateway or a
    /// Service's address, all candidates.</summary>
    private static IEnumerable<PodRef> Witnesses(TraceFacts facts, CallReport answer)
    {
        var others = facts.Proxies.Where(proxy => proxy.Key != facts.Client && proxy.Value is { CanCall: true, Stranger: "" })
            .Select(proxy => proxy.Key).ToList();
        if (!IPEndPoint.TryParse(answer.Seen?.Upstream ?? "", out var upstream) || GatewayPlace.Find(facts, upstream) is not null)
            return others;
        var address = upstream.Address.ToString();
        var chosen = others.Where(proxy => facts.Clusters.First(cluster => cluster.Context == proxy.Context).PodAt(address)?.Metadata.Name == proxy.Name)
            .ToList();
        // A gateway passes the call on.
        return chosen.Count > 0 && !chosen.Exists(facts.IsGateway) ? chosen : others;
    }

    private async Task<IEnumerable<Sighting>> RecentAsync(PodRef proxy, string id, CancellationToken stop)
    {
        try
        {
            return CallReading.Sightings(proxy,
                await new MeshQuery(clients[proxy.Context], istioNamespace).RecentAsync(proxy.Namespace, proxy.Name, id, stop));
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return []; // Only the time at this hop is missing then.
        }
    }
}
