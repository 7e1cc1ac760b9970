using System.Diagnostics;
using System.Globalization;
using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;

namespace Isthmus.Bench;

/// <summary>One endpoint of the other cluster appears or disappears among N services: from the staged object to the bytes
/// that a sidecar here receives.</summary>
internal static class GraphBench
{
    private const int Changes = 2000;

    internal static void Run()
    {
        Console.WriteLine("graph: one endpoint change → encoded bytes for a sidecar in the other cluster, and the response on its stream");
        Console.WriteLine("services   build all ms   median µs   99 % µs   bytes   stream: median µs   99 % µs");
        foreach (var services in (int[])[100, 1000, 5000]) Measure(services);
    }

    private static void Measure(int services)
    {
        var begun = Stopwatch.GetTimestamp();
        var rig = new MeshRig("c1", "c2");
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        for (var i = 0; i < services; i++)
        {
            var (high, low) = (i / 200, i % 200);
            rig.App("c1", $"app{i}", $"10.96.{100 + high}.{low + 1}", $"10.244.{high}.{low + 1}", $"10.245.{high}.{low + 1}");
            rig.App("c2", $"app{i}", $"10.96.{100 + high}.{low + 1}", $"10.246.{high}.{low + 1}", $"10.247.{high}.{low + 1}");
        }
        var near = rig.Sidecar("c1");
        _ = rig.Sidecar("c2");
        rig.Push();
        var all = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;

        var random = new Random(1);
        var times = new double[Changes];
        var streamed = new double[Changes];
        var stream = Subscribe(near.Snapshot!);
        var bytes = 0;
        for (var i = -Changes; i < Changes; i++) // The first half is warm-up.
        {
            var service = random.Next(services);
            var (high, low) = (service / 200, service % 200);
            var ready = i % 2 == 0;
            var start = Stopwatch.GetTimestamp();
            rig.Slice("c2", $"app{service}", 8080, "http", ($"app{service}-10.246.{high}.{low + 1}", $"10.246.{high}.{low + 1}"),
                ($"{(ready ? "" : "!")}app{service}-10.247.{high}.{low + 1}", $"10.247.{high}.{low + 1}"));
            var changes = rig.Writer.Commit();
            rig.Publisher.PublishEndpoints(rig.Mesh.View(), changes.Endpoints);
            near.Snapshot!.Types[TypeUrls.Endpoints].TryGet(MeshRig.OutboundName($"app{service}"), out var resource);
            var took = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            var begunStream = Stopwatch.GetTimestamp();
            var answer = stream.Update(near.Snapshot!).FirstOrDefault(response => response.TypeUrl == TypeUrls.Endpoints);
            var tookStream = Stopwatch.GetElapsedTime(begunStream).TotalMicroseconds;
            if (answer is not null) // There is none if the Pod's readiness did not change.
            {
                if (answer.Resources.Count != 1) throw new InvalidOperationException($"{answer.Resources.Count} resources for one change");
                stream.Receive(new() { TypeUrl = TypeUrls.Endpoints, ResponseNonce = answer.Nonce });
            }
            if (i < 0) continue;
            (times[i], streamed[i]) = (took, tookStream);
            bytes = resource!.Body.Value.Length;
        }
        Array.Sort(times);
        Array.Sort(streamed);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{services,8}   {all,12:0}   {times[Changes / 2],9:0}   {times[Changes * 99 / 100],7:0}   {bytes,5}   {streamed[Changes / 2],17:0}   "
                + $"{streamed[Changes * 99 / 100],7:0}"));
    }

    /// <summary>A stream whose client has every endpoint and waits for updates, as a sidecar's does.</summary>
    private static DeltaStream Subscribe(XdsSnapshot snapshot)
    {
        var stream = new DeltaStream("bench", _ => { });
        stream.Update(snapshot);
        var first = new Wire.Envoy.DeltaDiscoveryRequest { TypeUrl = TypeUrls.Endpoints };
        first.ResourceNamesSubscribe.AddRange(snapshot.Types[TypeUrls.Endpoints].All.Select(resource => resource.Name));
        foreach (var answer in stream.Receive(first)) stream.Receive(new() { TypeUrl = answer.TypeUrl, ResponseNonce = answer.Nonce });
        return stream;
    }
}
