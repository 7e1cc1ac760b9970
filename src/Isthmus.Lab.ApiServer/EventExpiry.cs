using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer;

/// <summary>Events are kept for an hour, as a real API server keeps them; then they are removed.</summary>
internal sealed class EventExpiry(IObjectStore store, TimeProvider time) : IServerTask
{
    private static readonly GroupResource Events = new("", "events");
    private static readonly TimeSpan Kept = TimeSpan.FromHours(1);
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(5);

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stop)) await SweepAsync(stop);
    }

    internal async Task SweepAsync(CancellationToken stop)
    {
        var oldest = time.GetUtcNow() - Kept;
        foreach (var stored in store.List(Events).Items)
        {
            var o = stored.Parse();
            var seen = ((string[])["lastTimestamp", "eventTime"]).Select(field => ApiTime.Parse(Json.Text(o[field])))
                .Append(ApiTime.Parse(Metadata.Text(o, "creationTimestamp"))).Max();
            if (seen < oldest) await store.DeleteAsync(Events, stored, null, stop);
        }
    }
}
